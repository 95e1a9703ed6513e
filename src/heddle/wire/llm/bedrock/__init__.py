"""Amazon Bedrock's Converse and ConverseStream: at the door, on the way through, and as a vendor.

`codec` and `reader` are the face at the door, `dialect` (with `request`, `answer`, `stream`) the caller's side of a
translation, `vendor` (with `families`, `blocks`, `vendor_answer`, `vendor_stream`) the provider's. `names` and `usage`
hold what both sides must agree on. InvokeModel, whose bodies are each model's own, is not spoken.

*Source:* Amazon Bedrock API Reference, "Converse", "ConverseStream", and the service model of botocore 1.44
(`bedrock-runtime/2023-09-30`), as of 2026-11.
"""
