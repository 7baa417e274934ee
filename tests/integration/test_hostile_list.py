# SPDX-License-Identifier: MIT
"""What an image or a registry may do to harm us, and the tests that show it is refused. Each must be there."""
import pathlib
import re

import pytest

HERE = pathlib.Path(__file__).parent

# "file::test", or "file::test[case]" where the case is a row of a table of that file.
LIST = {
    "'..' in names": ["test_disk_hostile::test_entries[dots]", "test_disk_hostile::test_entries[dots inside]",
                      "test_disk_store::test_the_store_refuses[dots]"],
    "absolute names": ["test_disk_hostile::test_entries[absolute]", "test_disk_hostile::test_entries[absolute hard link]",
                       "test_disk_hostile::test_rooted_names_stay_inside", "test_disk_store::test_the_store_refuses[rooted-dots]",
                       "test_disk_store::test_names_as_builders_write_them"],
    "links out of the tree": ["test_disk_hostile::test_entries[hard link out]", "test_disk_store::test_the_store_refuses[link-out]",
                              "test_disk_store::test_the_store_refuses[out-by-a-symlink]", "test_registry_load::test_hostile_layouts"],
    "writes through a symlink of a lower layer": ["test_disk_hostile::test_lower_layers_stay_out_of_reach",
                                                  "test_disk_store::test_the_store_refuses[through-a-symlink]"],
    "entries that replace a directory by a file": ["test_disk_hostile::test_entries[folder replaced by a file]",
                                                   "test_disk_hostile::test_entries[folder in use replaced]",
                                                   "test_disk_store::test_the_store_refuses[folder-to-file]",
                                                   "test_disk_store::test_a_folder_that_became_something_else"],
    "decompression bombs": ["test_disk_hostile::test_bombs", "test_disk_hostile::test_zstd_window"],
    "3 million entries": ["test_disk_hostile::test_too_many_entries"],
    "1 MB path names": ["test_disk_hostile::test_entries[path of 1 MB]", "test_disk_hostile::test_entries[path too long]"],
    "huge pax headers": ["test_disk_hostile::test_streams[huge pax header]", "test_disk_hostile::test_streams[huge global header]",
                         "test_disk_hostile::test_streams[huge long name]"],
    "xattrs that do not fit": ["test_disk_hostile::test_entries[xattr value too large]", "test_disk_hostile::test_entries[xattrs too large]",
                               "test_disk_hostile::test_entries[too many xattrs]"],
    "sizes that lie": ["test_disk_hostile::test_streams[size of 1 EiB]", "test_disk_hostile::test_streams[cut in data]",
                       "test_disk_hostile::test_damaged_streams", "test_registry_faults::test_sizes_that_lie",
                       "test_registry_faults::test_count_of_layers_that_lies"],
    "digests that lie": ["test_disk_hostile::test_digest", "test_disk_hostile::test_digest_covers_what_follows_the_archive",
                         "test_disk_store::test_diff_ids_of_sha512", "test_registry_faults::test_wrong_bytes",
                         "test_registry_faults::test_lying_diff_id", "test_registry_faults::test_manifest_of_another_digest"],
    "manifests and indexes that recurse": ["test_registry_faults::test_index_that_names_itself_for_ever",
                                           "test_registry_faults::test_index_of_indexes"],
    "100 MB manifests": ["test_registry_faults::test_huge_manifest"],
    "redirects to other hosts": ["test_registry_tokens::test_authorization_does_not_follow_a_redirect",
                                 "test_registry_faults::test_redirects_that_are_refused",
                                 "test_registry_tokens::test_token_service_does_not_redirect",
                                 "test_registry_tokens::test_upload_to_another_host_is_refused"],
    "a registry that stalls": ["test_registry_faults::test_stall", "test_registry_faults::test_stall_of_the_manifest"],
    "one that closes mid-body": ["test_registry_faults::test_resume_where_it_broke", "test_registry_faults::test_closes_in_the_middle_for_ever"],
    "one that sends too much or too little": ["test_registry_faults::test_too_much", "test_registry_faults::test_truncated_layer",
                                              "test_registry_faults::test_truncated_layer_of_unknown_length"],
    "429, then 200": ["test_registry_faults::test_busy_then_well", "test_registry_faults::test_retry_after_is_followed"],
    "a full disk": ["test_disk_hostile::test_full_disk", "test_registry_faults::test_no_space", "test_registry_auth::test_full_disk"],
    "nothing written outside, nothing left": ["test_disk_hostile::test_nothing_outside_is_touched",
                                              "test_disk_hostile::test_killed_builds_leave_nothing_that_is_used",
                                              "test_disk_hostile::test_a_build_does_not_take_another_ones_file"],
}


@pytest.mark.parametrize("what", LIST)
def test_has_its_tests(what):
    for name in LIST[what]:
        file, function, case = re.fullmatch(r"(\w+)::(\w+)(?:\[(.+)\])?", name).groups()
        text = (HERE / f"{file}.py").read_text()
        assert re.search(rf"^def {function}\(", text, re.M), f"{name} is gone"
        assert case is None or f'("{case}", ' in text, f"{name} is gone"
