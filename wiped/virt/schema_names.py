"""Every name that libvirt's schemas of domains, snapshots, checkpoints and backups know (9.0 and 11.3): what is not here, no schema knows, and a phone that
has it is refused. A test compares with the installed schemas (`tests/unit/virt/test_data_map.py`).
"""

from __future__ import annotations

from typing import Final

#: Elements, without their namespace.
_ELEMENTS = """
acceleration access acpi active active_pcr_banks adapter add address aia alias alignsize allocation apic arch arg async-teardown audio
audit_control audit_write auth avic backend backenddomain backingStore bandwidth baseBoard baselabel binary bios blkiotune block
block_suspend blockio boot bootloader bootloader_args bootmenu cache cachetune capabilities catchup cbitpos ccf-assist cell certificate cfpc
channel char chassis chown cid cipher clipboard clock clusterSize cmdline coalesce codec commandline compat config console controller cookie
cookies counter cpu cputune creationTime crypto current currentMemory dac_override dac_read_search dataStore database datacenterpath
defaultiothread del deprecation description device devices dhCert direct dirty-ring discard disk disks distances domain domainbackup
domaincheckpoint domainsnapshot downscript driver dtb e820_host emsr_bitmap emulator emulator_period emulator_quota emulatorpin
emulatorsched encryption entry env event evmcs extended extended_l2 feature features fibrechannel filesystem filetransfer filterref firmware
format fowner frames frequencies frontend fsetid genid geometry gic gid gl global_period global_quota graphics group group_name guest
guestVisibleWorkarounds handle hap hard_limit hidden hint-dedicated host hostData hostdev hpt htm hub hugepages hyperv ibs idAuth idBlock
identity idmap image imagelabel inactiveDomain inbound incremental init initarg initdir initenv initgroup initiator initrd inituser input
interconnects interface ioapic iommu iothread iothread_period iothread_quota iothreadids iothreadpin iothreads iothreadsched iotune ip
ipc_lock ipc_owner ipi iqn ivgen jpeg kernel key keywrap kill knownHosts kvm label latency launchSecurity lazy_refcounts lease line link
linux_immutable listen loader local lock locked lockspace log mac mac_admin mac_override master maxMemory max_size maxpagesize maxphysaddr
memballoon memnode memory memoryBacking memorytune memtune metadata metadata_cache microcode min_guarantee mirror mknod mode model monitor
mouse msi msrs mtu name namespace nested-hv net_admin net_bind_service net_broadcast net_raw node nodemask nonpae nosharepages numa numatune
nvram oemStrings on_crash on_lockfailure on_poweroff on_reboot openfiles os outbound output override owner pae page pages pagesize panic
parallel parameter parameters parent parentaddr partition passthrough path pcihole64 perf period permissions playback pm pmem pmu policy
poll poll-control port portForward privateData privnet product profile property protocol ps2 pstore pv-ipi pvspinlock queue quota range ras
rate read_bytes_sec read_bytes_sec_max read_bytes_sec_max_length read_iops_sec read_iops_sec_max read_iops_sec_max_length readahead readonly
reconnect redirdev redirfilter reducedPhysBits reenlightenment relaxed requested reservations reset resolution resource revertDisks rng rom
root route runtime rx sandbox sbbc scratch script seclabel secret serial server session setfcap setgid setpcap settings setuid sha1 sha256
sha384 sha512 shareable shareipc sharenet shares shareuts shim shmem sibling signature size size_iops_sec slice slices smartcard smbios smm
snapshot snapshotDeleteInProgress sndbuf soft_limit sound source space_hard_limit space_soft_limit spinlocks ssl state stats stimer
streaming suspend-to-disk suspend-to-mem svm swap_hard_limit synic sys_admin sys_boot sys_chroot sys_module sys_nice sys_pacct sys_ptrace
sys_rawio sys_resource sys_time sys_tty_config sysinfo syslog system table tag target tb-cache tcg teaming thread_pool throttlefilter
throttlefilters throttlegroup throttlegroups timeout timer title tlbflush topology total_bytes_sec total_bytes_sec_max
total_bytes_sec_max_length total_iops_sec total_iops_sec_max total_iops_sec_max_length tpm transient tseg tune type uid usbdev uuid vapic
vcpu vcpupin vcpus vcpusched vendor vendor_id video viridian virtualport vlan vmcoreinfo vmport vmx vpindex vsock wake_alarm watchdog weight
write_bytes_sec write_bytes_sec_max write_bytes_sec_max_length write_iops_sec write_iops_sec_max write_iops_sec_max_length wwn xen xmm_input
zlib zpci
"""
ELEMENTS: Final = frozenset(_ELEMENTS.split())

#: Attributes.
_ATTRIBUTES = """
accel2d accel3d access accessmode action actual address adjustment agentsock alias allow append appid arch associativity ats authorKey auto
autodeflate autoport average aw_bits backend backup backupmode bandwidth bar base basis behavior bitmap bits blob bridge bufferCount
bufferLength burst bus busNr bytes cache caching_mode capability cellid channel channels chassis chassisNr check checkpoint class classID
clientName clusters cmd_per_lun compression connectPorts connected connectionid controller copy_on_read copypaste cores count cpus cpuset
cssid csum current currentAddress cyls debug defaultMode delay deprecated_features detect_zeroes dev device devno dies dir discard
discard_granularity discard_no_unref display dma_translation dmode domain driver dspPolicy dumpCore dynamicMemslots ecn eim enable enabled
end engine eoi error_policy evdev event_idx exactName exclude exclusive exportbitmap exportname fallback family fdgroup fid file filter
firmware fixedSettings flock floor fmode format freePageReporting frequency fullscreen function gateway grab grabToggle group grow gso
guestReset hash heads host hotplug hotpluggable id incremental index initiator instanceid interfaceid intremap io iobase ioeventfd iommu
iothread iothreads iotlb irq isolated job kernelHashes keyfile keymap labelskip latency level limit listen loadparm logFile
logical_block_size macTableManager machine managed managerid master match max maxEventChannels maxGrantFrames max_sectors memAccess
memReserve memory metric migratable missing mixingEngine mode model mrg_rxbuf multiUser multichannel multidevs multifunction name namespace
nativeMode netmask network nodeset offset order p2p packed page_per_vq parent parent_fabric_wwn parent_wwnn parent_wwpn passwd passwdValidTo
path peak peer period persistent persistent_state physical_block_size placement policy pool port portgroup portgroupid portid ports posix
powerControl prefix present primary priority product profileid proto protocol query queue queue_size queues ram ramfb rawio readonly ready
rebootTimeout reg relabel removable removeDisabled rendernode repeat replaceUser rerror_policy resizing retries role rotation_rate rss
rss_hash_report runtimeDir rx_queue_size scaling scheduler seconds secret secs secure serverName service sgio shareBacking sharePolicy
shrink size slave slew slot slots snapshot socket sockets source speed ssid start startport startupPolicy state stateless stepping
streamName streams switchid tap target template templateFormat thread_pool_max thread_pool_min threads threshold tickpolicy timeout
timerPeriod timezone tls tlsHostname tlsPort to track trans transport tray trunk trustGuestRxFilters tryMMap tryPoll tso4 tso6 tty
tx_queue_size txmode type typeid typeidversion ufo uid unique_id unit units unknown usage user username useserial uuid value vcek vcpu vcpus
vectors vendor vendor_id verify version vgaconf vgamem vhost voices volume vram vram64 websocket writeFiltering wrpolicy wwnn wwpn x xattr
xauth y
"""
ATTRIBUTES: Final = frozenset(_ATTRIBUTES.split())
