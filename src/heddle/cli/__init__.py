"""What people type: parse, call, print. No decisions about traffic or configuration are made here."""
