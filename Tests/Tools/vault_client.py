#!/usr/bin/env python3
"""Exercises a Vault's transit engine with the real client `hvac`: what kapsule relies on, as others use it (tests only).

usage: vault_client.py URL TOKEN

Run against the stand-in it shows that the stand-in answers as the client of a real Vault expects. Prints "ok".
"""
import base64, sys
import hvac
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

client = hvac.Client(url=sys.argv[1], token=sys.argv[2])
transit = client.secrets.transit
secret = base64.b64encode(b"secret").decode()

transit.create_key(name="pair", key_type="rsa-2048", exportable=True)
transit.rotate_key(name="pair")
info = transit.read_key(name="pair")["data"]
assert info["latest_version"] == 2 and info["type"] == "rsa-2048" and set(info["keys"]) == {"1", "2"}

public = serialization.load_pem_public_key(info["keys"]["2"]["public_key"].encode())
oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
wrapped = "vault:v2:" + base64.b64encode(public.encrypt(b"secret", oaep)).decode()
assert transit.decrypt_data(name="pair", ciphertext=wrapped)["data"]["plaintext"] == secret

sealed = transit.encrypt_data(name="pair", plaintext=secret)["data"]["ciphertext"]
assert sealed.startswith("vault:v2:")
exported = transit.export_key(name="pair", key_type="encryption-key", version="2")["data"]["keys"]["2"]
private = serialization.load_pem_private_key(exported.encode(), None)
assert private.decrypt(base64.b64decode(sealed.split(":")[2]), oaep) == b"secret"

transit.create_key(name="one", key_type="aes256-gcm96")
sealed = transit.encrypt_data(name="one", plaintext=secret)["data"]["ciphertext"]
assert transit.decrypt_data(name="one", ciphertext=sealed)["data"]["plaintext"] == secret
try:
    transit.export_key(name="one", key_type="encryption-key")
    raise SystemExit("exported what is not exportable")
except hvac.exceptions.InvalidRequest as refused:
    assert "not exportable" in str(refused)
try:
    transit.decrypt_data(name="none", ciphertext=sealed)
    raise SystemExit("found what is not there")
except hvac.exceptions.InvalidRequest as refused:
    assert "not found" in str(refused)
try:
    transit.read_key(name="none")
    raise SystemExit("read what is not there")
except hvac.exceptions.InvalidPath:
    pass
try:
    hvac.Client(url=sys.argv[1], token="wrong").secrets.transit.read_key(name="pair")
    raise SystemExit("let a stranger in")
except hvac.exceptions.Forbidden:
    pass
print("ok")
