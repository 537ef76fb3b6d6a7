"""The wire contract: protos, the messages made from them, and the codec between the two."""
