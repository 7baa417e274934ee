/* SPDX-License-Identifier: MIT */
/* Writes the frame fuzzer's seeds: frame_seeds FOLDER. The first byte of a seed is its transport.
 */
#include "base/file.h"
#include "tests/unit/vminitd/samples.h"

int main(int argc, char **argv)
{
	AUTO_ERROR err = ERROR_INIT;

	for (size_t i = 0; argc == 2 && i < sample_count; i++) {
		AUTO_BUFFER out = BUFFER_INIT;
		AUTO_FREE char *path = path_join(argv[1], samples[i].name);
		buffer_add_char(&out, (char)(i % 2));
		if (i % 2)
			frame_add_marker(&out);
		if (samples[i].add(&out, &err) < 0 ||
		    file_write_atomic(path, out.data, out.size, 0644, &err) < 0) {
			(void)fprintf(stderr, "%s\n", error_message(&err));
			return 1;
		}
	}
	return argc == 2 ? 0 : 2;
}
