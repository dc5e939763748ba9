# volley_embed(TARGET NAME FILES...) makes FILES part of TARGET, so that the program has them wherever it is installed:
# "embedded/NAME.hpp" declares volley::embedded::NAME(), which returns them all (embedded/embedded_file.hpp, made here).
function(volley_embed target name)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${ARGN})
  set(entries "")
  foreach(file IN LISTS ARGN)
    get_filename_component(file_name ${file} NAME)
    file(READ ${file} text)
    string(APPEND entries "    {\"${file_name}\", R\"embedded(${text})embedded\"},\n")
  endforeach()
  set(generated ${PROJECT_BINARY_DIR}/generated/embedded/${name})
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/embedded/embedded_file.hpp @ONLY CONTENT
"// Made by cmake/embed.cmake.
#pragma once

#include <string_view>
#include <vector>

namespace volley {

/// A file that is compiled in.
struct EmbeddedFile {
  std::string_view name;  // \"style.css\"
  std::string_view text;
};

}  // namespace volley
")
  file(CONFIGURE OUTPUT ${generated}.hpp @ONLY CONTENT
"// Made by cmake/embed.cmake.
#pragma once

#include \"embedded/embedded_file.hpp\"

namespace volley::embedded {

const std::vector<EmbeddedFile>& @name@();

}  // namespace volley::embedded
")
  file(CONFIGURE OUTPUT ${generated}.cpp @ONLY CONTENT
"// Made by cmake/embed.cmake.
#include \"embedded/@name@.hpp\"

namespace volley::embedded {

const std::vector<EmbeddedFile>& @name@() {
  static const std::vector<EmbeddedFile> files{
@entries@  };
  return files;
}

}  // namespace volley::embedded
")
  target_sources(${target} PRIVATE ${generated}.cpp)
endfunction()
