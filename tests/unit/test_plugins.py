"""What other distributions bring is found, and looked for once."""

from importlib.metadata import EntryPoint

import pytest

from heddle import plugins


def test_entry_points_are_read_once_and_never_stand_in_for_what_is_built_in(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []

    def installed(*, group: str) -> list[EntryPoint]:
        asked.append(group)
        return [
            EntryPoint("mine", "collections:OrderedDict", group),
            EntryPoint("openai", "collections:OrderedDict", group),
        ]

    monkeypatch.setattr(plugins, "entry_points", installed)
    plugins._installed.cache_clear()
    try:
        for _ in range(5):
            assert plugins.load("providers", "mine").__name__ == "OrderedDict"
            assert plugins.load("providers", "openai").__name__ == "OpenAI"
            assert "mine" in plugins.names("providers")
        assert asked == ["heddle.providers"]
    finally:
        plugins._installed.cache_clear()
