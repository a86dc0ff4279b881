"""A SAML 2.0 identity provider of the library pysaml2, for a test to sign in with.

It prints its address, and is told the service provider's metadata (POST /metadata). Then
it answers what a browser asks: GET /sso is where a service provider sends it, with a page
to choose a person; POST /answer sends it back, signed in; GET /portal does so unasked. A
deed names in what way an answer is not as it should be, and sign which parts are signed:
"assertion", "response", "both" or "none"; encrypt how the assertion is encrypted. test/saml_test.go starts it.
"""

import datetime
import html
import re
import sys
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
from saml2.authn_context import PASSWORDPROTECTEDTRANSPORT
from saml2.config import IdPConfig
from saml2.metadata import entity_descriptor
from saml2.saml import NAMEID_FORMAT_EMAILADDRESS, NAMEID_FORMAT_PERSISTENT, NameID
from saml2.server import Server
from saml2.sigver import RSA_1_5, RSA_OAEP_MGF1P, get_pem_wrapped_unwrapped, make_temp, pre_encryption_part
from saml2.time_util import instant
from saml2.xmldsig import DIGEST_SHA1, DIGEST_SHA256, SIG_RSA_SHA1, SIG_RSA_SHA256

# Whom the provider knows, and what it says of them. pysaml2 sends the names that it knows as OIDs.
PEOPLE = {
    "grace": {"mail": "grace@example.com", "displayName": "Grace Hopper", "Roles": ["Staff", "Muster Administrators"]},
    "ada": {"mail": "ada@example.com", "eduPersonAffiliation": ["member", "muster-viewer"]},
    "mallory": {"mail": "mallory@example.com", "Roles": ["Staff"]},
    "eve": {"mail": "grace@example.com.example.org", "Roles": ["Muster Administrators"]},
}
ELSEWHERE = "https://other.example.com/console/saml/acs"


def make_key(path: Path) -> None:
    """Makes a key and its certificate, as files."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    path.with_suffix(".key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    )
    path.with_suffix(".crt").write_bytes(certificate.public_bytes(pem))


def confirmation(assertion):
    return assertion.subject.subject_confirmation[0].subject_confirmation_data


def expired(assertion) -> None:
    ago = instant(time_stamp=time.time() - 3600)
    assertion.conditions.not_on_or_after = confirmation(assertion).not_on_or_after = ago


def early(assertion) -> None:
    assertion.conditions.not_before = instant(time_stamp=time.time() + 3600)


def old(assertion) -> None:
    assertion.issue_instant = instant(time_stamp=time.time() - 3600)


def audience(assertion) -> None:
    assertion.conditions.audience_restriction[0].audience[0].text = ELSEWHERE


def recipient(assertion) -> None:
    confirmation(assertion).recipient = ELSEWHERE


def request(assertion) -> None:
    confirmation(assertion).in_response_to = "id-of-another"


def issuer(assertion) -> None:
    assertion.issuer.text = ELSEWHERE


# What an assertion is made to say before it is signed.
SAYS = {f.__name__: f for f in (expired, early, old, audience, recipient, request, issuer)}


# With what an assertion, and the key to it, are encrypted. CBC is what most providers do.
CIPHERS = {
    "gcm": ("http://www.w3.org/2009/xmlenc11#aes256-gcm", RSA_OAEP_MGF1P, "aes-256"),
    "cbc": ("http://www.w3.org/2001/04/xmlenc#aes256-cbc", RSA_OAEP_MGF1P, "aes-256"),
    "pkcs1": ("http://www.w3.org/2009/xmlenc11#aes256-gcm", RSA_1_5, "aes-256"),
}


class Provider(Server):
    """pysaml2's server, which says of a person also what it should not."""

    deed = cipher = ""

    def setup_assertion(self, *args, **kwargs):
        assertion = super().setup_assertion(*args, **kwargs)
        SAYS.get(self.deed, lambda _: None)(assertion)
        return assertion

    def _response(self, in_response_to, consumer_url=None, *args, **kwargs):
        if self.deed == "destination":
            consumer_url = ELSEWHERE
        return super()._response(in_response_to, consumer_url, *args, **kwargs)

    def _encrypt_assertion(self, encrypt_cert, sp_entity_id, response, node_xpath=None):
        """As pysaml2's, which knows one algorithm only, and that is an old one."""
        if not self.cipher or self.cipher == "pysaml2":
            return super()._encrypt_assertion(encrypt_cert, sp_entity_id, response, node_xpath)
        message, key, session = CIPHERS[self.cipher]
        certificate = encrypt_cert or self.metadata.certs(sp_entity_id, "any", "encryption")[0][1]
        wrapped, bare = get_pem_wrapped_unwrapped(certificate)
        file = make_temp(wrapped.encode(), decode=False)
        template = pre_encryption_part(msg_enc=message, key_enc=key, encrypt_cert=bare)
        return self.sec.encrypt_assertion(response, file.name, template, session, node_xpath)


ASSERTION = re.compile(r"<(\w+):Assertion .*</\1:Assertion>", re.S)
SIGNATURE = re.compile(r"<(\w+):Signature\b.*?</\1:Signature>", re.S)


def evil_of(good: str) -> str:
    """An assertion of somebody else, which nobody has signed."""
    evil = SIGNATURE.sub("", good).replace("grace@", "mallory@")
    return re.sub(r'\bID="[^"]*"', 'ID="evil"', evil, count=1)


def around(good: str) -> str:
    """The signed assertion within the other one."""
    return re.sub(r"<(\w+):Conditions\b", lambda m: f"<{m[1]}:Advice>{good}</{m[1]}:Advice>" + m[0], evil_of(good), count=1)


def within(good: str) -> str:
    """The signed assertion within the signature of the other one, which has its reference."""
    signature = SIGNATURE.search(good)
    end = f"</{signature[1]}:Signature>"
    held = signature[0].replace(end, f"<{signature[1]}:Object>{SIGNATURE.sub('', good)}</{signature[1]}:Object>{end}")
    return re.sub(r"</(\w+):Issuer>", lambda m: m[0] + held, evil_of(good), count=1)


# What somebody on the way makes of an assertion after it, or its response, was signed.
FORGES = {
    "changed": lambda good: good.replace("grace@", "mallory@"),
    "raised": lambda good: good.replace(">Staff<", ">Muster Administrators<"),
    # What is signed has no comments (xml-exc-c14n), so this breaks no signature.
    "commented": lambda good: good.replace("grace@example.com.", "grace@example.com<!-- -->."),
    "stripped": lambda good: SIGNATURE.sub("", good),
    "wrapped before": lambda good: evil_of(good) + good,
    "wrapped after": lambda good: good + evil_of(good),
    "wrapped around": around,
    "wrapped within": within,
}


class World:
    """The provider: its keys, and what it knows of the service provider."""

    def __init__(self, address: str, directory: Path) -> None:
        self.address, self.directory = address, directory
        self.asked = directory / "sp.xml"
        for name in ("idp", "impostor"):
            make_key(directory / name)
        self.server = self.impostor = None

    def config(self, key: str = "idp") -> IdPConfig:
        return IdPConfig().load({
            "entityid": self.address + "/metadata",
            "key_file": str(self.directory / (key + ".key")), "cert_file": str(self.directory / (key + ".crt")),
            "metadata": {"local": [str(self.asked)]} if self.asked.exists() else {},
            "service": {"idp": {
                "endpoints": {"single_sign_on_service": [
                    (self.address + "/sso-by-post", BINDING_HTTP_POST), (self.address + "/sso", BINDING_HTTP_REDIRECT),
                ]},
                "policy": {"default": {"lifetime": {"minutes": 5}, "nameid_format": NAMEID_FORMAT_PERSISTENT}},
            }},
        })

    def learn(self, metadata: bytes) -> None:
        self.asked.write_bytes(metadata)
        self.server, self.impostor = Provider(config=self.config()), Provider(config=self.config("impostor"))

    def answer(self, form: dict) -> str:
        """The page that brings the browser, with an answer, to the service provider."""
        deed, sign, person = form.get("deed", ""), form.get("sign", "assertion"), form["person"]
        server = self.impostor if deed == "impostor" else self.server
        if "SAMLRequest" in form:
            asked = server.parse_authn_request(form["SAMLRequest"], BINDING_HTTP_REDIRECT).message
            to = server.response_args(asked, [BINDING_HTTP_POST])
            del to["binding"]
        else:
            entity = next(iter(server.metadata.keys()))
            _, acs = server.pick_binding("assertion_consumer_service", [BINDING_HTTP_POST], "spsso", entity_id=entity)
            to = {"in_response_to": None, "destination": acs, "sp_entity_id": entity}
        server.deed, server.cipher = deed, form.get("encrypt", "")
        mistaken = (self.directory / "impostor.crt").read_text() if deed == "mistaken" else None
        name = NameID(format=NAMEID_FORMAT_EMAILADDRESS, text=PEOPLE[person]["mail"]) if person != "ada" else None
        response = str(server.create_authn_response(
            PEOPLE[person], userid=person, name_id=name, authn={"class_ref": PASSWORDPROTECTEDTRANSPORT},
            sign_assertion=sign in ("assertion", "both"), sign_response=sign in ("response", "both"),
            sign_alg=SIG_RSA_SHA1 if deed == "sha1" else SIG_RSA_SHA256,
            digest_alg=DIGEST_SHA1 if deed == "sha1" else DIGEST_SHA256,
            encrypt_assertion=bool(server.cipher), encrypt_cert_assertion=mistaken, **to,
        ))
        assert not server.cipher or "EncryptedData" in response
        if deed == "meddled":
            # The last text of a cipher is that of the assertion.
            at = response.rindex("</ns", 0, response.rindex(":CipherValue>")) - 8
            response = response[:at] + ("A" if response[at] != "A" else "B") + response[at + 1:]
        if deed in FORGES:
            forged = ASSERTION.sub(lambda m: FORGES[deed](m[0]), response)
            assert forged != response, deed
            response = forged
        return server.apply_binding(BINDING_HTTP_POST, response, to["destination"], response=True)["data"]


def login_page(query: dict) -> str:
    kept = "".join(f'<input type="hidden" name="{html.escape(n)}" value="{html.escape(v)}">' for n, v in query.items())
    buttons = "".join(f'<button name="person" value="{p}">I am {p}</button>' for p in PEOPLE)
    return f'<!doctype html><title>Identity provider</title><form method="post" action="/answer">{kept}{buttons}</form>'


def handler(world: World) -> type:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = dict(parse_qsl(url.query))
            self.reply({
                "/metadata": lambda: str(entity_descriptor(world.config())),
                "/sso": lambda: login_page(query),
                "/portal": lambda: world.answer(query),
            }[url.path])

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.reply({
                "/metadata": lambda: world.learn(body) or "",
                "/answer": lambda: world.answer(dict(parse_qsl(body.decode()))),
            }[self.path])

        def reply(self, make) -> None:
            try:
                text, status = make(), 200
            except Exception:
                text, status = traceback.format_exc(), 500
            kind = "text/html" if status == 200 and text.startswith("<!") else "text/xml" if status == 200 else "text/plain"
            self.send_response(status)
            self.send_header("Content-Type", kind + "; charset=utf-8")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *args) -> None:
            pass

    return Handler


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    # Another host than the console's, so that browsers see another site.
    address = f"http://localhost:{server.server_port}"
    server.RequestHandlerClass = handler(World(address, Path(sys.argv[1])))
    print("Identity provider:", address, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
