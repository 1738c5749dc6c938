"""Certificate and settings of a node with the security plugin: TLS on both layers, users, document-level security.

For tests alone: the plugin is of another version than the server (distribution.py), its users are its own demo users,
and one self-signed certificate serves as node, as administrator of nothing and as its own authority.
"""

import datetime
import ipaddress
import shutil
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER = "admin"
PASSWORD = "admin"
CERTIFICATE = "node.pem"
_KEY = "node-key.pem"
_SUBJECT = "trailkeeper-tests"


def configure(config: Path, demo: Path) -> dict[str, str]:
    """Write the certificate and the plugin's first users into `config`; return what opensearch.yml must say."""
    _write_certificate(config)
    shutil.copytree(demo, config / "opensearch-security", copy_function=shutil.copyfile)
    settings = {
        "plugins.security.ssl.http.enabled": "true",
        "plugins.security.allow_default_init_securityindex": "true",
        "plugins.security.ssl.transport.enforce_hostname_verification": "false",
        "plugins.security.nodes_dn": f'["CN={_SUBJECT}"]',
        "plugins.security.restapi.roles_enabled": '["all_access", "security_rest_api_access"]',
    }
    for layer in ("transport", "http"):
        settings |= {
            f"plugins.security.ssl.{layer}.pemcert_filepath": CERTIFICATE,
            f"plugins.security.ssl.{layer}.pemkey_filepath": _KEY,
            f"plugins.security.ssl.{layer}.pemtrustedcas_filepath": CERTIFICATE,
        }
    return settings


def _write_certificate(config: Path) -> None:
    """A self-signed pair for localhost, valid for a day: SAN localhost, and the key in PKCS 8, which the plugin reads."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _SUBJECT)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=7))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    (config / CERTIFICATE).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (config / _KEY).write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
