# Cross-builds for 64-bit Arm with Debian's compiler and libraries: docs/howto/other_processors.md.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
# Tests run here, through the emulator, where it is installed.
find_program(CONVOY_EMULATOR NAMES qemu-aarch64 qemu-aarch64-static)
if(CONVOY_EMULATOR)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${CONVOY_EMULATOR})
endif()
