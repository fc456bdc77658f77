"""Every attack that the guards are proven by, and the tests that make it. `P` goes through the whole product, `E` against the eraser alone with a forged plan.

| attack | P | E |
|---|---|---|
| forged qcow2, vmdk, LUKS, qed header in a raw disk | test_attack_headers | test_attack_headers, test_eraser_guards |
| json: and nbd: paths, external data file, no backing format | test_attack_headers | test_attack_headers |
| symlink and rename races | tests/long/test_race | tests/long/test_race, test_attack_race |
| hard link from outside, bind mounts, FIFO, socket, device node | test_attack_files | test_eraser_guards, test_attack_files |
| two domains with one name | test_attack_xml, test_wipe_wrong_file | test_eraser_guards |
| one UUID, another generation | test_wipe_neighbours | (the eraser knows no generation) |
| renamed or redefined between plan and erase | test_attack_between_steps, test_wipe_wrong_file | test_eraser_guards |
| opened by another QEMU, qemu-nbd, loop device, backup job | test_attack_holders, test_wipe_fence | test_eraser_in_use |
| a root that contains another's protected root | test_attack_files | test_attack_files |
| a root or golden directory that becomes a link after the start | test_attack_files | test_attack_files |
| shareable disks | test_attack_xml | test_eraser_guards |
| domain XML of 10 MB, with entities, with a thousand disks | test_attack_xml | test_attack_xml |
| names with newlines, quotes, escapes, 255 bytes of UTF-8 | test_attack_xml | test_eraser_guards |
| a plan that the daemon should never have written | (it never writes one) | test_eraser_guards, test_eraser_kinds |
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]

#: attack -> tests ("file::function", or "file::function[id of a case]" where the case is a function or a string of that file)
ATTACKS: dict[str, tuple[str, ...]] = {
    "forged qcow2 header inside a raw disk": (
        "host/test_attack_headers.py::test_headers_inside_raw_disks_lead_nowhere[qcow2-backing]",
        "host/test_attack_headers.py::test_the_eraser_takes_nothing_that_a_header_names[qcow2-data-file]",
        "unit/storage/test_image_chain.py::test_raw_is_never_parsed",
    ),
    "forged vmdk header": (
        "host/test_attack_headers.py::test_headers_inside_raw_disks_lead_nowhere[vmdk-sparse]",
        "host/test_attack_headers.py::test_headers_of_disks_that_libvirt_calls_by_that_format[vmdk-sparse]",
        "host/test_attack_headers.py::test_the_eraser_takes_nothing_that_a_header_names[vmdk-descriptor]",
    ),
    "forged LUKS header": ("host/test_attack_headers.py::test_headers_inside_raw_disks_lead_nowhere[luks]",),
    "json: and nbd: paths": (
        "host/test_attack_headers.py::test_headers_of_disks_that_libvirt_calls_by_that_format[qcow2-json]",
        "host/test_attack_headers.py::test_headers_of_disks_that_libvirt_calls_by_that_format[qcow2-nbd]",
        "unit/storage/test_image_chain.py::test_pseudo_paths",
    ),
    "qcow2 with external data file": ("host/test_attack_headers.py::test_headers_of_disks_that_libvirt_calls_by_that_format[qcow2-data-file]",),
    "qcow2 without backing format": ("host/test_attack_headers.py::test_headers_of_disks_that_libvirt_calls_by_that_format[no-format]",),
    "symlink and rename races": (
        "long/test_race.py::test_two_hundred_wipes_against_the_eraser",
        "long/test_race.py::test_the_whole_product",
        "host/test_attack_race.py::test_a_dozen_wipes_race_an_exchanger",
        "host/test_eraser_guards.py::test_a_swap_after_the_lock_stops_the_erasing",
    ),
    "hard link from outside the roots": (
        "host/test_attack_files.py::test_everything_that_is_no_plain_file_of_the_phone[hard-link]",
        "host/test_eraser_guards.py::test_a_forged_plan_is_refused[hard_link]",
    ),
    "bind mounts over a root": (
        "host/test_attack_files.py::test_everything_that_is_no_plain_file_of_the_phone[bind-mounted-directory]",
        "host/test_attack_files.py::test_the_eraser_with_a_mount_over_the_root",
        "host/test_eraser_guards.py::test_a_forged_plan_is_refused[bind_mount_beneath_the_root]",
        "host/test_eraser_guards.py::test_a_forged_plan_is_refused[bind_mount_of_the_golden_images]",
        "host/test_wipe_wrong_file.py::test_a_protected_image_behind_links_and_mounts",
    ),
    "FIFO, socket or device node": (
        "host/test_attack_files.py::test_everything_that_is_no_plain_file_of_the_phone[fifo]",
        "host/test_attack_files.py::test_everything_that_is_no_plain_file_of_the_phone[socket]",
        "host/test_attack_files.py::test_everything_that_is_no_plain_file_of_the_phone[device-node]",
        "host/test_eraser_guards.py::test_a_forged_plan_is_refused[pipe]",
        "host/test_eraser_guards.py::test_a_forged_plan_is_refused[device_node]",
    ),
    "two domains with one name": (
        "host/test_attack_xml.py::test_shareable_disks_and_two_phones_that_had_one_name",
        "host/test_wipe_wrong_file.py::test_former_names",
        "host/test_eraser_guards.py::test_a_forged_plan_is_refused[another_phones_name]",
        "unit/cli/test_wipes.py::test_an_ambiguous_name_lists_the_candidates",
    ),
    "one UUID re-used with another generation": ("host/test_wipe_neighbours.py::test_another_account_on_an_unwiped_phone_is_refused_and_fenced",),
    "renamed or redefined between plan and erase": (
        "host/test_attack_between_steps.py::test_nothing_is_erased_that_changed_since_the_plan",
        "host/test_wipe_wrong_file.py::test_redefined_between_plan_and_erase",
        "host/test_eraser_guards.py::test_a_neighbour_defined_after_the_lock_stops_the_erasing",
    ),
    "opened by another QEMU": (
        "host/test_attack_holders.py::test_an_image_that_somebody_has_open[qemu]",
        "host/test_attack_holders.py::test_an_image_that_somebody_has_open[qemu-without-locks]",
        "host/test_eraser_in_use.py::test_an_image_in_use_is_refused[qemu_io_without_locks]",
        "host/test_wipe_fence.py::test_an_image_in_use_is_never_half_wiped",
    ),
    "opened by qemu-nbd": (
        "host/test_attack_holders.py::test_an_image_that_somebody_has_open[nbd-read-only]",
        "host/test_eraser_in_use.py::test_an_image_in_use_is_refused[qemu_nbd_read_only]",
    ),
    "opened by a loop device": (
        "host/test_attack_holders.py::test_an_image_that_somebody_has_open[loop]",
        "host/test_eraser_in_use.py::test_an_image_in_use_is_refused[loop_device]",
    ),
    "opened by a backup job": ("host/test_attack_holders.py::test_a_phone_whose_disk_a_job_reads",),
    "a root that contains another's protected root": (
        "host/test_attack_files.py::test_everything_that_is_no_plain_file_of_the_phone[protected-within-the-root]",
        "host/test_eraser_guards.py::test_a_forged_plan_is_refused[protected_root]",
    ),
    "a root or golden directory replaced by a symlink after start": (
        "host/test_attack_files.py::test_a_golden_directory_that_becomes_a_link_after_the_start",
        "host/test_attack_files.py::test_the_eraser_with_a_golden_directory_that_is_another_one",
        "host/test_attack_files.py::test_the_eraser_with_a_root_that_became_a_link",
    ),
    "shareable disks": (
        "host/test_attack_xml.py::test_shareable_disks_and_two_phones_that_had_one_name",
        "host/test_eraser_guards.py::test_a_forged_plan_is_refused[shareable]",
    ),
    "a domain XML of 10 MB, with entities, with a thousand disks": (
        "host/test_attack_xml.py::test_a_monstrous_neighbour_against_the_eraser[entities]",
        "host/test_attack_xml.py::test_a_monstrous_neighbour_against_the_eraser[seventeen megabytes]",
        "host/test_attack_xml.py::test_a_phone_of_a_thousand_disks_of_which_one_is_golden",
        "host/test_attack_xml.py::test_monstrous_neighbours_of_the_whole_product",
    ),
    "names with newlines, quotes, ANSI escapes, 255 bytes of UTF-8, in logs and tables": (
        "host/test_attack_xml.py::test_names_that_a_terminal_would_obey[csi]",
        "unit/cli/test_render.py::test_no_name_reaches_the_terminal_alive",
        "unit/test_logs.py::test_a_terminal_gets_readable_lines_without_foreign_escapes",
        "host/test_hook.py::test_newline_in_a_path_is_recognised_by_inode",
        "host/test_eraser_guards.py::test_a_rename_target_is_a_plain_name",
    ),
    "an eraser given a plan that the daemon should never have written": (
        "host/test_eraser_guards.py::test_a_forged_plan_is_refused[neighbours_disk]",
        "host/test_eraser_kinds.py::test_a_forged_plan_is_refused",
        "host/test_helpers_eraser.py::test_nothing_is_removed_before_it_was_erased",
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_every_attack_has_tests_that_exist(attack: str) -> None:
    """Each named test is a function of its file, and each case in brackets a function or a string of it."""
    for test in ATTACKS[attack]:
        file, _, function = test.partition("::")
        name, _, case = function.rstrip("]").partition("[")
        tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
        functions = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
        strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        assert name in functions, test
        assert not case or case in functions | strings, test
