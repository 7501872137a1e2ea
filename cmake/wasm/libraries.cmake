# What the library, the tool and the tests need of other libraries where emscripten compiles: headers of Debian's packages, and sources.
# Debian's own configuration files would name libraries of this machine's processor.

# A folder of its own, since /usr/include also holds this machine's C library.
set(headers ${PROJECT_BINARY_DIR}/headers)
file(MAKE_DIRECTORY ${headers})
foreach(folder CLI fmt nlohmann protozero)
  if(NOT EXISTS /usr/include/${folder})
    message(FATAL_ERROR "/usr/include/${folder} is missing: docs/howto/other_processors.md lists the packages")
  endif()
  file(CREATE_LINK /usr/include/${folder} ${headers}/${folder} SYMBOLIC)
endforeach()
include_directories(SYSTEM ${headers})
add_library(nlohmann_json::nlohmann_json INTERFACE IMPORTED)
add_library(CLI11::CLI11 INTERFACE IMPORTED)
add_library(fmt::fmt INTERFACE IMPORTED)
target_compile_definitions(fmt::fmt INTERFACE FMT_HEADER_ONLY)
add_library(Threads::Threads INTERFACE IMPORTED)  # none

# Debian's Highway 1.0.3 has no vectors of float64 for WebAssembly. Without a network: -DFETCHCONTENT_SOURCE_DIR_HIGHWAY=FOLDER.
include(FetchContent)
FetchContent_Declare(highway GIT_REPOSITORY https://github.com/google/highway.git GIT_TAG 457c891775a7397bdb0376bb1031e6e027af1c48) # 1.2.0
set(HWY_ENABLE_CONTRIB OFF CACHE BOOL "")
set(HWY_ENABLE_EXAMPLES OFF CACHE BOOL "")
set(HWY_ENABLE_INSTALL OFF CACHE BOOL "")
set(HWY_ENABLE_TESTS OFF CACHE BOOL "")
set(HWY_FORCE_STATIC_LIBS ON CACHE BOOL "")
FetchContent_MakeAvailable(highway)
set_target_properties(hwy PROPERTIES SYSTEM ON)
add_library(hwy::hwy ALIAS hwy)

if(CONVOY_BUILD_TESTS)
  set(BUILD_GMOCK OFF CACHE BOOL "")
  set(INSTALL_GTEST OFF CACHE BOOL "")
  add_subdirectory(/usr/src/googletest ${PROJECT_BINARY_DIR}/googletest EXCLUDE_FROM_ALL)
endif()

# Debian's node modules, which emscripten's linker needs, lie where another node does not look.
set_property(GLOBAL PROPERTY RULE_LAUNCH_LINK "${CMAKE_COMMAND} -E env NODE_PATH=/usr/share/nodejs")
# Programs for node: they read and write this machine's files. -O1: what -O3 would do to the linked module takes minutes, and makes it 15 % smaller
# and no faster.
add_link_options(-O1 -sNODERAWFS=1 -sEXIT_RUNTIME=1 -sALLOW_MEMORY_GROWTH=1 -sMAXIMUM_MEMORY=4GB
                 "SHELL:--pre-js ${CMAKE_CURRENT_LIST_DIR}/environment.js")
