# All compiler flags live on one interface target; nobody touches CMAKE_C_FLAGS.
option(CTRZ_WERROR "treat warnings as errors" OFF)
option(CTRZ_SANITIZE "build with AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
option(CTRZ_FUZZ "build libFuzzer targets (clang)" OFF)
option(CTRZ_COVERAGE "count which lines run (clang)" OFF)

add_library(ctrz_flags INTERFACE)
target_compile_features(ctrz_flags INTERFACE c_std_11)
target_compile_definitions(ctrz_flags INTERFACE _GNU_SOURCE)
target_include_directories(ctrz_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(ctrz_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual
  -Wwrite-strings -Wundef -Wformat=2 -Wvla -Wswitch-enum -Wpointer-arith -Wnull-dereference
  $<$<C_COMPILER_ID:GNU>:-Wduplicated-cond -Wduplicated-branches -Wlogical-op>
  $<$<BOOL:${CTRZ_WERROR}>:-Werror>
  # Nothing of ours may stand in for a shared library's function of the same name (libcom_err: error_message).
  -fvisibility=hidden
  # What a program does not reach is not linked into it: a test holds that planning cannot act.
  -ffunction-sections -fdata-sections
  -fstack-protector-strong -fstack-clash-protection -fcf-protection -fno-omit-frame-pointer)
if(CTRZ_SANITIZE OR CTRZ_FUZZ)
  set(san address,undefined)
  target_compile_options(ctrz_flags INTERFACE -fsanitize=${san} -fno-sanitize-recover=all)
  target_link_options(ctrz_flags INTERFACE -fsanitize=${san})
  if(CTRZ_FUZZ)
    target_compile_options(ctrz_flags INTERFACE -fsanitize=fuzzer-no-link)
  endif()
else()
  target_compile_definitions(ctrz_flags INTERFACE $<$<NOT:$<CONFIG:Debug>>:_FORTIFY_SOURCE=3>)
endif()
if(CTRZ_COVERAGE)
  target_compile_options(ctrz_flags INTERFACE -fprofile-instr-generate -fcoverage-mapping)
  target_link_options(ctrz_flags INTERFACE -fprofile-instr-generate)
endif()
target_link_options(ctrz_flags INTERFACE -Wl,-z,relro -Wl,-z,now -Wl,--gc-sections)

# ctrz_library(NAME SOURCES... [PUBLIC libs...] [PRIVATE libs...]): one static library per folder.
function(ctrz_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_link_libraries(${name} PUBLIC ctrz_flags ${arg_PUBLIC} PRIVATE ${arg_PRIVATE})
endfunction()
