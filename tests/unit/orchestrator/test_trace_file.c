/* SPDX-License-Identifier: MIT */
/* From noted phases to a trace file. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/trace.h"
#include "orchestrator/cli/trace_file.h"
#include "tests/unit/test.h"

TEST(phases_are_numbered_named_and_ordered)
{
	static const char lines[] = "web\tkeeper\tinner\t120\t130\n"
				    "ctrz up\tmain\tapply\t110\t200\n"
				    "web\tkeeper\tstart\t120\t180\n"
				    "web\tguest\ta \"name\"\t150\t160\n";
	static const char wanted[] =
		"{\"traceEvents\":["
		"{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":1,\"tid\":0,\"args\":{\"name\":"
		"\"ctrz up\"}},"
		"{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":1,\"args\":{\"name\":"
		"\"main\"}},"
		"{\"name\":\"apply\",\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":0,\"dur\":90},"
		"{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":2,\"tid\":0,\"args\":{\"name\":"
		"\"web\"}},"
		"{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":2,\"tid\":2,\"args\":{\"name\":"
		"\"keeper\"}},"
		"{\"name\":\"start\",\"ph\":\"X\",\"pid\":2,\"tid\":2,\"ts\":10,\"dur\":60},"
		"{\"name\":\"inner\",\"ph\":\"X\",\"pid\":2,\"tid\":2,\"ts\":10,\"dur\":10},"
		"{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":2,\"tid\":3,\"args\":{\"name\":"
		"\"guest\"}},"
		"{\"name\":\"a "
		"\\\"name\\\"\",\"ph\":\"X\",\"pid\":2,\"tid\":3,\"ts\":40,\"dur\":10}"
		"],\"displayTimeUnit\":\"ms\"}\n";
	AUTO_BUFFER out = BUFFER_INIT;

	trace_file_json(lines, strlen(lines), &out);
	assert_string_equal(buffer_str(&out), wanted);
}

TEST(what_is_no_phase_is_left_out)
{
	static const char *const bad[] = {
		"",
		"\n",
		"a\tb\tc\t1\n",
		"a\tb\tc\t1\t2\t3\n",
		"a\tb\tc\t-1\t2\n",
		"a\tb\tc\t2\t1\n",
		"a\tb\tc\t1\t2", /* cut off */
		"a\tb\tc\t1\t99999999999999999999\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		AUTO_BUFFER out = BUFFER_INIT;

		trace_file_json(bad[i], strlen(bad[i]), &out);
		assert_string_equal(buffer_str(&out),
				    "{\"traceEvents\":[],\"displayTimeUnit\":\"ms\"}\n");
	}
}

TEST(what_is_noted_is_read)
{
	AUTO_CLOSE int fd = memfd_create("trace", MFD_CLOEXEC);
	AUTO_BUFFER lines = BUFFER_INIT;
	AUTO_BUFFER out = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	assert_true(fd >= 0);
	assert_int_equal(trace_now(), 0);
	{
		TRACE("before");
	}
	trace_to(fd);
	trace_as("a\nb", "main");
	{
		TRACE("within");
	}
	trace_note("other", "tab\there", 1, 3);
	trace_note("other", "not begun", 0, 3);
	trace_to(-1);
	trace_note("other", "after", 1, 3);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(fd_read_all(fd, &lines, 4096, &err), 0);
	trace_file_json(buffer_str(&lines), lines.size, &out);
	assert_non_null(strstr(buffer_str(&out), "\"name\":\"a b\""));
	assert_non_null(strstr(buffer_str(&out), "\"name\":\"within\""));
	assert_non_null(strstr(buffer_str(&out), "\"name\":\"tab here\""));
	assert_null(strstr(buffer_str(&out), "not begun"));
	assert_null(strstr(buffer_str(&out), "before"));
	assert_null(strstr(buffer_str(&out), "after"));
}
