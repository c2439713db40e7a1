"""Bytes and keys of the contract: codec, MAC, sealed packets, and the documents a vendor builds an agent from."""
