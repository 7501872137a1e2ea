# WebAssembly with emscripten (Debian's 3.1.6): docs/howto/other_processors.md. SIMD of 128 bits, exceptions, one thread.
execute_process(COMMAND em-config EMSCRIPTEN_ROOT OUTPUT_VARIABLE EMSCRIPTEN_ROOT_PATH OUTPUT_STRIP_TRAILING_WHITESPACE)
if(NOT EMSCRIPTEN_ROOT_PATH)
  message(FATAL_ERROR "em-config is missing: apt-get install emscripten")
endif()
set(CMAKE_CXX_FLAGS_INIT "-msimd128 -fwasm-exceptions")
# Without the option node would fetch the module from the network's functions, which know no files.
set(CMAKE_CROSSCOMPILING_EMULATOR node --no-experimental-fetch)
include(${EMSCRIPTEN_ROOT_PATH}/cmake/Modules/Platform/Emscripten.cmake)
