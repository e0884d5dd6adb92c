"""OAuth access tokens: https://www.twilio.com/docs/iam/oauth-apps"""

from __future__ import annotations

import msgspec

from airflow_provider_twilio_comms.api.wire import Call, decoded

__all__ = ["Token", "token"]


class Token(msgspec.Struct, frozen=True):
    """An access token, valid for ``expires_in`` seconds."""

    access_token: str
    expires_in: float = 3600.0

    def __repr__(self) -> str:
        return f"Token(expires_in={self.expires_in})"


def token(client_id: str, client_secret: str) -> Call[Token]:
    """Get an access token with client credentials: ``POST /v2/token``. Reads: an old token stays valid."""
    return Call(
        "POST",
        "/v2/token",
        lambda reply: decoded(reply, Token),
        product="oauth",
        form=(
            ("grant_type", "client_credentials"),
            ("client_id", client_id),
            ("client_secret", client_secret),
        ),
        effect="reads",
    )
