"""The lab: the real thing to test against, made privately and removed without a trace.

What it is: a private libvirtd in namespaces of its own, loop filesystems whose raw bytes can be searched, real guests,
and images with unique markers. Used by the host tests, by ``make demo`` and by benchmarks; root only.

What it may NOT do: import anything of ``wiped`` (a laboratory that trusts the product proves nothing), touch the
machine's own libvirt, leave a process, mount, loop device or directory behind, or end a process that it did not start.
"""
