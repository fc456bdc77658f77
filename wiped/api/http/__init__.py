"""HTTP itself, whatever is asked: who is asking (`identity`), bodies and their bounds (`bodies`), faults as documents (`problems`), the same request twice
(`idempotency`), the description (`openapi`).

May not: know a noun of the API, the ledger, libvirt or storage.
"""
