"""Rich content: a carousel for phones with RCS, a text for the others, from a sender pool.

The emulator's outbox page shows the cards; its number that ends in 9337 has no RCS and gets the text.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG

from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator
from airflow_provider_twilio_comms.operators.sender_pools import TwilioSenderPoolOperator

with DAG(
    "twilio_rich_content",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    description=__doc__.partition("\n")[0],
    doc_md=__doc__,
    tags=["twilio", "rcs", "bulk"],
):
    pool = TwilioSenderPoolOperator(
        task_id="pool", name="offers", senders=["rcs:emulated_agent", "+15005550006"], poll_interval=1
    )
    offer = TwilioBulkMessageOperator(
        task_id="offer",
        recipients=[
            {"phone": "+12025550151", "name": "Ines"},
            {"phone": "+12025559337", "name": "Joe"},
        ],
        number_column="phone",
        sender={
            "sender_pool_id": "{{ ti.xcom_pull('pool')['sender_pool_id'] }}",
            "channels": ["RCS", "SMS"],
        },
        content={
            "cards": [
                {
                    "title": "A table at the window, {{ name }}?",
                    "media": {"file_url": "https://example.com/window.jpg", "height": "MEDIUM"},
                    "suggestions": [{"text": "Take it", "postback_data": "window"}],
                },
                {
                    "title": "One in the garden?",
                    "description": "Under the old tree.",
                    "media": "https://example.com/garden.jpg",
                    "suggestions": [
                        {"text": "Take it", "postback_data": "garden"},
                        {"text": "See it", "postback_data": "see", "open_url": "https://example.com/garden"},
                    ],
                },
            ],
            "card_width": "MEDIUM",
            "suggestions": [{"text": "Neither", "postback_data": "neither"}],
            "text": "A table at the window or in the garden, {{ name }}? Answer WINDOW or GARDEN.",
        },
    )

    pool >> offer
