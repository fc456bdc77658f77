"""What every route shares: who is asking (`identity`), bodies and their bounds (`bodies`), errors as documents (`problems`), the same request twice
(`idempotency`), the description (`openapi`); the `door` bounds connections.

May not: know a noun of the API, the ledger, libvirt or storage.
"""
