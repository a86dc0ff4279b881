"""The grants of Muster's OAuth 2.0 server through the client library Authlib.

It finds the endpoints by RFC 8414, gets tokens with client_secret_basic,
client_secret_post and private_key_jwt, goes through the page of the authorization
code grant with PKCE, refreshes, and revokes. Each token is tried on /Users.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import uuid
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import ECKey

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # the server is on loopback
BASE = os.environ["MUSTER_URL"]
MUSTER = Path(__file__).resolve().parents[2] / "bin" / "muster"
RUN = uuid.uuid4().hex[:8]
CALLBACK = "http://127.0.0.1:1/callback"
VERIFIER = "a-code-verifier-of-at-least-forty-three-characters"


def create(name: str, *flags: str) -> dict:
    """Makes a credential on the database that the server uses."""
    env = {k: v for k, v in os.environ.items() if k not in ("MUSTER_TOKEN", "MUSTER_URL")}
    made = subprocess.run(
        [MUSTER, "credential", "create", f"{name}-{RUN}", "--json", *flags],
        env=env, check=True, capture_output=True, text=True,
    )
    return json.loads(made.stdout)


def works(token: dict) -> None:
    """Fails unless the SCIM face takes the token."""
    answer = requests.get(BASE + "/Users", headers={"Authorization": "Bearer " + token["access_token"]}, timeout=30)
    assert answer.status_code == 200, answer.text


def refused(code: str, ask) -> None:
    """Fails unless the call is refused with this error."""
    try:
        ask()
    except OAuthError as e:
        assert e.error == code, f"{e.error}: {e.description}"
        return
    raise AssertionError(f"not refused with {code}")


def metadata() -> dict:
    answer = requests.get(BASE.removesuffix("/scim/v2") + "/.well-known/oauth-authorization-server", timeout=30)
    answer.raise_for_status()
    return answer.json()


def client_credentials(server: dict) -> None:
    made = create("secret", "--kind", "oauth", "--scope", "scim")
    client_id, secret = made["credential"]["oauth"]["clientId"], made["secret"]
    for method in ("client_secret_basic", "client_secret_post"):
        assert method in server["token_endpoint_auth_methods_supported"]
        session = OAuth2Session(client_id, secret, token_endpoint_auth_method=method, scope="scim:read")
        token = session.fetch_token(server["token_endpoint"], grant_type="client_credentials")
        assert token["scope"] == "scim:read" and token["expires_in"] == 3600
        works(token)
        session.revoke_token(server["revocation_endpoint"], token=token["access_token"], token_type_hint="access_token")
        answer = requests.get(BASE + "/Users", headers={"Authorization": "Bearer " + token["access_token"]}, timeout=30)
        assert answer.status_code == 401, answer.text
    wrong = OAuth2Session(client_id, secret + "x", token_endpoint_auth_method="client_secret_basic")
    refused("invalid_client", lambda: wrong.fetch_token(server["token_endpoint"], grant_type="client_credentials"))


def private_key_jwt(server: dict) -> None:
    key = ECKey.generate_key("P-256", {"kid": "k", "use": "sig", "alg": "ES256"})
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"keys": [key.as_dict(private=False)]}, file)
        file.flush()
        made = create("key", "--kind", "oauth", "--scope", "scim", "--jwks", file.name)
    client_id = made["credential"]["oauth"]["clientId"]

    def session(k: ECKey) -> OAuth2Session:
        s = OAuth2Session(client_id, k, token_endpoint_auth_method="private_key_jwt")
        s.register_client_auth_method(PrivateKeyJWT(server["token_endpoint"], headers={"kid": "k"}, alg="ES256"))
        return s

    works(session(key).fetch_token(server["token_endpoint"], grant_type="client_credentials"))
    other = session(ECKey.generate_key("P-256"))
    refused("invalid_client", lambda: other.fetch_token(server["token_endpoint"], grant_type="client_credentials"))


def authorization_code(server: dict) -> None:
    admin = create("admin", "--scope", "admin")["secret"]
    made = create("code", "--kind", "oauth", "--scope", "scim", "--redirect-uri", CALLBACK)
    session = OAuth2Session(
        made["credential"]["oauth"]["clientId"], made["secret"], token_endpoint_auth_method="client_secret_basic",
        redirect_uri=CALLBACK, scope="scim", code_challenge_method="S256",
    )
    address, state = session.create_authorization_url(server["authorization_endpoint"], code_verifier=VERIFIER)
    page = requests.get(address, timeout=30)
    page.raise_for_status()
    form = {n: unescape(v) for n, v in re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page.text)}

    def decide(**decision: str) -> str:
        answer = requests.post(server["authorization_endpoint"], data=form | decision, allow_redirects=False, timeout=30)
        assert answer.status_code == 303, answer.text
        return answer.headers["Location"]

    denied = parse_qs(urlsplit(decide(decision="deny")).query)
    assert denied["error"] == ["access_denied"] and denied["state"] == [state], denied
    back = decide(decision="allow", credential=admin)
    assert parse_qs(urlsplit(back).query)["iss"] == [server["issuer"]], back
    token = session.fetch_token(server["token_endpoint"], authorization_response=back, state=state, code_verifier=VERIFIER)
    works(token)
    first = token["refresh_token"]
    works(session.refresh_token(server["token_endpoint"], refresh_token=first))
    refused("invalid_grant", lambda: session.refresh_token(server["token_endpoint"], refresh_token=first))


def main() -> int:
    server = metadata()
    failed = 0
    for grant in (client_credentials, private_key_jwt, authorization_code):
        try:
            grant(server)
            print("ok  ", grant.__name__)
        except Exception as e:  # the next grant says something else
            failed += 1
            print("FAIL", grant.__name__, repr(e), getattr(e, "stderr", "") or "")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
