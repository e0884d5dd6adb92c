"""Words of other APIs and older versions that authors try in a content, and what they are called today.

https://www.twilio.com/docs/content/content-types-overview
"""

from __future__ import annotations

from collections.abc import Mapping

ELSEWHERE: Mapping[str, str] = {
    "body": "The text of a bulk send is called text",
    "media_url": "The media of a bulk send are called media",
    "content_id": "A template is called content_sid",
    "content_variables": "Values are each recipient's variables: columns of the file, or variables",
    **dict.fromkeys(
        ("list_picker", "listPicker", "list-picker", "quick_reply", "quickReply", "quick-reply"),
        "List pickers and quick replies are content templates (twilio/list-picker, twilio/quick-reply): "
        "declare one with TwilioContentTemplateOperator, and give its content_sid. Quick replies on RCS can "
        "also be suggestions, without a template",
    ),
    **dict.fromkeys(
        ("apple_pay", "applePay", "persistent_action", "interactive", "interactiveData", "interactive_data"),
        "Interactive messages go with a content template's content_sid. The old parameter of Apple Pay and "
        "other channels is persistent_action of TwilioSendMessageOperator (the classic API), which the "
        "Communications API does not have",
    ),
}
