# `cmake --install` gives headers, library, program and what find_package(volley) needs.
include(CMakePackageConfigHelpers)
install(TARGETS volley EXPORT volley_targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/volley ${PROJECT_BINARY_DIR}/generated/volley DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.hpp")
if(VOLLEY_BUILD_PROGRAM)
  install(TARGETS volley_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(EXPORT volley_targets NAMESPACE volley:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/volley)
configure_package_config_file(cmake/volleyConfig.cmake.in ${PROJECT_BINARY_DIR}/volleyConfig.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/volley)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/volleyConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/volleyConfig.cmake ${PROJECT_BINARY_DIR}/volleyConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/volley)
