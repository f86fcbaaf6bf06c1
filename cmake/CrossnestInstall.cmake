# What is installed, in two components that find_package knows by the same names: `c`, the shared C
# library and its header, and `cpp`, the C++ library and all headers. The link libcrossnest_c.so, for
# -lcrossnest_c, is a component of its own, since wheels hold no links.

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/crossnest)
set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(
  TARGETS crossnest_c
  EXPORT crossnest_c
  RUNTIME COMPONENT c
  LIBRARY COMPONENT c NAMELINK_COMPONENT c_link
  ARCHIVE COMPONENT c)
install(
  DIRECTORY "${PROJECT_SOURCE_DIR}/cpp/include/crossnest"
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  COMPONENT c
  FILES_MATCHING
  PATTERN *.h)

install(
  TARGETS crossnest
  EXPORT crossnest_cpp
  RUNTIME COMPONENT cpp
  LIBRARY COMPONENT cpp
  ARCHIVE COMPONENT cpp)
install(
  DIRECTORY "${PROJECT_SOURCE_DIR}/cpp/include/crossnest"
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  COMPONENT cpp)

configure_package_config_file(
  "${CMAKE_CURRENT_LIST_DIR}/crossnestConfig.cmake.in" crossnestConfig.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(crossnestConfigVersion.cmake COMPATIBILITY SameMinorVersion)
foreach(component c cpp)
  install(
    EXPORT crossnest_${component}
    FILE crossnest_${component}.cmake
    NAMESPACE crossnest::
    DESTINATION ${package_dir}
    COMPONENT ${component})
  install(
    FILES "${CMAKE_CURRENT_BINARY_DIR}/crossnestConfig.cmake"
          "${CMAKE_CURRENT_BINARY_DIR}/crossnestConfigVersion.cmake"
    DESTINATION ${package_dir}
    COMPONENT ${component})
endforeach()

# pkg-config's files find the rest from where they are, wherever the tree is moved.
file(RELATIVE_PATH prefix_from_pkgconfig "/prefix/${pkgconfig_dir}" /prefix)
set(libraries_of_cpp ${CMAKE_THREAD_LIBS_INIT})
if(NOT BUILD_SHARED_LIBS)
  list(APPEND libraries_of_cpp ${LAPACK_LIBRARIES} ${BLAS_LIBRARIES})
endif()
list(JOIN libraries_of_cpp " " libraries_of_cpp)
configure_file("${CMAKE_CURRENT_LIST_DIR}/crossnest.pc.in" crossnest.pc @ONLY)
configure_file("${CMAKE_CURRENT_LIST_DIR}/crossnest_c.pc.in" crossnest_c.pc @ONLY)
install(
  FILES "${CMAKE_CURRENT_BINARY_DIR}/crossnest.pc"
  DESTINATION ${pkgconfig_dir}
  COMPONENT cpp)
install(
  FILES "${CMAKE_CURRENT_BINARY_DIR}/crossnest_c.pc"
  DESTINATION ${pkgconfig_dir}
  COMPONENT c_link)
