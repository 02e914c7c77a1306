# SPDX-License-Identifier: MIT
#
# CMake toolchain file: cmake -DCMAKE_TOOLCHAIN_FILE=.../sdk/share/motor.cmake

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR x86_64)

get_filename_component(MOTOR_SDK "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE)
set(CMAKE_C_COMPILER "${MOTOR_SDK}/bin/motor-cc")
set(CMAKE_ASM_COMPILER "${MOTOR_SDK}/bin/motor-cc")
set(CMAKE_AR "${MOTOR_SDK}/bin/motor-ar" CACHE FILEPATH "")
set(CMAKE_RANLIB "${MOTOR_SDK}/bin/motor-ranlib" CACHE FILEPATH "")
set(CMAKE_STRIP "${MOTOR_SDK}/bin/motor-strip" CACHE FILEPATH "")
set(PKG_CONFIG_EXECUTABLE "${MOTOR_SDK}/bin/motor-pkg-config" CACHE FILEPATH "")

set(BUILD_SHARED_LIBS OFF CACHE BOOL "Motor programs are static")
set_property(GLOBAL PROPERTY TARGET_SUPPORTS_SHARED_LIBS FALSE)

set(CMAKE_FIND_ROOT_PATH "${MOTOR_SDK}")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

# Programs for Motor also run on a Linux host, so checks that run something work.
set(CMAKE_CROSSCOMPILING_EMULATOR /usr/bin/env)
