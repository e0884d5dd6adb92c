"""The variables that a text needs, and texts that cannot be rendered."""

from __future__ import annotations

import pytest

from airflow_provider_twilio_comms._core.planning.texts import renderer, undefaulted
from airflow_provider_twilio_comms.exceptions import InvalidInput


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("Hi {{ name }}", {"name"}),
        ("Hi {{ name | upcase }}, {{ day | default: 'soon' }}", {"name"}),
        ("{% assign x = name | default: 'you' %}{{ x }}", set()),
        ("{% assign x = name %}{{ x }}", {"name"}),
        ("{% assign x = name %}{{ x | default: 'you' }}", set()),
        ("{% assign name = name | default: 'you' %}{{ name }}", set()),
        ("{% capture x %}Dear {{ name }}{% endcapture %}{{ x }}", {"name"}),
        ("{% if name %}Hi {{ name }}{% endif %}", set()),
        ("{% if name %}Hi {{ name }}, {{ day }}{% endif %}", {"day"}),
        ("{% if vip %}Dear {{ name }}{% elsif name %}Hi {{ name }}{% endif %}", {"name"}),
        ("{% unless name %}Hi{% else %}Hi {{ name }}{% endunless %}", set()),
        ("{% case kind %}{% when 'a' %}{{ kind }}{% else %}{{ name }}{% endcase %}", {"name"}),
        ("{% for w in (1..2) %}{{ w }}{{ forloop.index }}{% endfor %}", set()),
        ("{% for w in (1..2) %}{{ name }}{% endfor %}{{ w }}", {"name", "w"}),
        ("{% assign w = 'x' %}{% for w in (1..2) %}{{ w }}{% endfor %}{{ w }}", set()),
        ("{% for w in words %}{{ w }}{% endfor %}", {"words"}),
        ("{% increment i %}{{ i }}", set()),
        ("{% liquid echo name %}", {"name"}),
        ("{% raw %}{{ name }}{% endraw %}", set()),
    ],
)
def test_what_a_text_needs(text: str, needed: set[str]) -> None:
    assert undefaulted({"text": text}) == needed


def test_a_variable_may_have_any_name() -> None:
    render = renderer({"text": "Hi {{ self | upcase }}"}).render
    assert render
    assert render({"self": "Ada"}) == "Hi ADA"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Hi {{ name | shout }}", "unknown filter 'shout'"),
        ("Hi {{ name | divided_by: 0 }}", "Liquid: FilterArgumentError"),
        ("Hi {{ name | ", "the text is not valid Liquid"),
    ],
)
def test_a_text_that_cannot_be_rendered_is_bad_input(text: str, said: str) -> None:
    def rendered() -> str:
        render = renderer({"text": text}).render
        assert render
        return render({"name": "Ada Lovelace"})

    with pytest.raises(InvalidInput) as caught:
        rendered()
    assert (caught.value.field, said in str(caught.value)) == ("content", True)
    assert "Lovelace" not in str(caught.value)
