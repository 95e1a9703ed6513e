"""Two meshes, as on two machines, that share a Redis: one budget, and what happens when Redis is away."""

import concurrent.futures
import json
from pathlib import Path

import pytest
from tests.contract.counters.redis_server import RedisServer
from tests.e2e.running import CONFIG, eventually, running_mesh

pytestmark = pytest.mark.skipif(not RedisServer.found(), reason="there is no redis-server here")
CALL = {"model": "gpt-4o-mini", "max_tokens": 20, "messages": [{"role": "user", "content": "hi"}]}


def test_two_machines_share_one_budget(tmp_path: Path):
    server = RedisServer(tmp_path)
    text = CONFIG + (
        f'state: {{{{counters: "{server.url}"}}}}\n'
        "budgets: [{{name: team, limit_tokens: 2000, calendar: {{period: day}}}}]\n"
        "rate_limiting: [{{name: calls, match: {{user: bob}}, limit: 5, window: 24h}}]\n"
    )
    try:
        with running_mesh(tmp_path / "a", text, workers=2) as one, running_mesh(tmp_path / "b", text) as other:
            with concurrent.futures.ThreadPoolExecutor(32) as pool:
                answers = list(pool.map(lambda n: (one if n % 2 else other).post(CALL), range(160)))
            while (answer := one.post(CALL))[0] == 200 or b"held by calls under way" in answer[2]:
                answers.append(answer)
            used = [json.loads(data)["usage"]["total_tokens"] for status, _, data in answers if status == 200]
            assert {status for status, _, _ in answers} == {200, 429}
            assert 2000 - 200 < sum(used) <= 2000
            assert other.post(CALL)[0] == 429
            server.stop()
            assert one.post(CALL)[0] == 503, "nobody spends what nobody counts"
            assert one.post({**CALL, "max_tokens": 1}, key="sk-bob-456")[0] == 503
            server.start()
            eventually(lambda: other.post(CALL)[0] == 429)
    finally:
        server.stop()
