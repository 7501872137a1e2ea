# One CMake target per folder. Every folder target is an object library; convoy/CMakeLists.txt links them all into the
# library that is installed. Sources ending in _test.cc become one test program per folder.

set(CONVOY_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wno-unused-parameter -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12.2 reports uninitialised registers inside its own AVX-512 intrinsics (fixed in 12.3) and overlaps inside std::string (PR 105651).
  list(APPEND CONVOY_WARNINGS -Wno-maybe-uninitialized -Wno-uninitialized -Wno-restrict)
endif()
if(CONVOY_WERROR)
  list(APPEND CONVOY_WARNINGS -Werror)
endif()

# Link-time optimisation of what is built for size. The objects hold both forms: tests and the tool take the machine code.
set(CONVOY_LTO_OPTIONS)
if(CONVOY_LTO AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND NOT CONVOY_SANITIZE)
  set(CONVOY_LTO_OPTIONS $<$<CONFIG:Release>:-flto=auto> $<$<CONFIG:Release>:-ffat-lto-objects>)
endif()

function(convoy_compile_options target)
  target_compile_options(${target} PRIVATE ${CONVOY_WARNINGS} -ffp-contract=off
                         $<$<CONFIG:Release>:-ffunction-sections> $<$<CONFIG:Release>:-fdata-sections>)
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
  if(EMSCRIPTEN)
    target_compile_options(${target} PRIVATE -include ${PROJECT_SOURCE_DIR}/cmake/wasm/libcxx13.h)
  endif()
  if(CONVOY_SANITIZE)
    target_compile_options(${target} PUBLIC -fsanitize=${CONVOY_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    # AddressSanitizer does not see an index between a vector's size and its capacity.
    target_compile_definitions(${target} PUBLIC _GLIBCXX_ASSERTIONS)
    target_link_options(${target} PUBLIC -fsanitize=${CONVOY_SANITIZE})
  endif()
endfunction()

# What every test program has: the archive, GoogleTest, and light optimisation, since compiling tests takes longer than running them.
function(convoy_test_program target)
  convoy_compile_options(${target})
  target_compile_options(${target} PRIVATE -O1)
  target_link_libraries(${target} PRIVATE convoy_static GTest::gtest GTest::gtest_main)
endfunction()

# Each test of a test program by itself, as PREFIX.suite.test; where programs run in an emulator that takes long to start, all at once.
# Further arguments as gtest_discover_tests takes them.
function(convoy_discover_tests target prefix)
  if(NOT CMAKE_CROSSCOMPILING)
    gtest_discover_tests(${target} TEST_PREFIX ${prefix}. DISCOVERY_TIMEOUT 60 ${ARGN})
  elseif(NOT TEST ${target})
    add_test(NAME ${target} COMMAND ${target} --gtest_brief=1)
  endif()
endfunction()

# convoy_folder(NAME [OPTIMIZE flag] [INTERNAL] [HIDES expression] [TOOL] [WITHOUT file...] [LIBRARIES lib...]): all .cc files below the current folder,
# but for those of WITHOUT, that are not tests; LIBRARIES stay private. OPTIMIZE replaces Release's -O3: -Os for folders whose code runs once a call, not once an element, -Oz where a call takes long beside it,
# which halves their size. INTERNAL folders' headers are not installed, nor their symbols exported, and of the others not what
# HIDES matches at the beginning of a file's path in the folder. TOOL folders serve the command line tool and the tests, and are not
# part of the installed library.
function(convoy_folder name)
  cmake_parse_arguments(ARG "INTERNAL;TOOL" "OPTIMIZE;HIDES" "WITHOUT;LIBRARIES" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS *.cc)
  foreach(file IN LISTS ARG_WITHOUT)
    list(REMOVE_ITEM sources ${CMAKE_CURRENT_SOURCE_DIR}/${file})
  endforeach()
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  if(sources)
    add_library(convoy_${name} OBJECT ${sources})
    convoy_compile_options(convoy_${name})
    if(ARG_OPTIMIZE)
      target_compile_options(convoy_${name} PRIVATE $<$<CONFIG:Release>:${ARG_OPTIMIZE}>)
      if(ARG_OPTIMIZE MATCHES "^-O[sz]$" AND NOT ARG_TOOL)
        target_compile_options(convoy_${name} PRIVATE ${CONVOY_LTO_OPTIONS})
      endif()
    endif()
    # The fuzzer is led by the branches of what reads and checks files; kernels take few that depend on them, and count slowly.
    if(CONVOY_FUZZ AND (CONVOY_FUZZ_KERNELS OR NOT ARG_INTERNAL))
      target_compile_options(convoy_${name} PRIVATE -fsanitize=fuzzer-no-link)
    endif()
    # Inline functions are compiled into whoever calls them: exporting them too would be a name each.
    set_target_properties(convoy_${name} PROPERTIES VISIBILITY_INLINES_HIDDEN ON)
    if(ARG_INTERNAL)
      set_target_properties(convoy_${name} PROPERTIES CXX_VISIBILITY_PRESET hidden)
    endif()
    if(ARG_HIDES)
      set(hidden ${sources})
      list(FILTER hidden INCLUDE REGEX "^${CMAKE_CURRENT_SOURCE_DIR}/(${ARG_HIDES})")
      set_property(SOURCE ${hidden} APPEND PROPERTY COMPILE_OPTIONS -fvisibility-ms-compat)  # classes keep their type information
      set_property(GLOBAL APPEND PROPERTY CONVOY_HIDDEN_HEADERS "/${name}/(${ARG_HIDES})")
    endif()
    target_link_libraries(convoy_${name} PRIVATE ${ARG_LIBRARIES})
    if(ARG_TOOL)
      set_property(GLOBAL APPEND PROPERTY CONVOY_TOOL_FOLDERS convoy_${name})
    else()
      set_property(GLOBAL APPEND PROPERTY CONVOY_FOLDERS convoy_${name})
    endif()
    set_property(GLOBAL APPEND PROPERTY CONVOY_LIBRARIES ${ARG_LIBRARIES})
  endif()
  if(tests AND CONVOY_BUILD_TESTS)
    set_property(GLOBAL APPEND PROPERTY CONVOY_TEST_FOLDERS ${name})
    set_property(GLOBAL PROPERTY CONVOY_TESTS_${name} "${tests}")
    set_property(GLOBAL PROPERTY CONVOY_TEST_LIBRARIES_${name} "${ARG_LIBRARIES}")
  endif()
endfunction()
