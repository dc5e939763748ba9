# volley_embed(SOURCES HEADER DECLARATION FILES...) makes FILES part of the program, so that it has them wherever it is
# installed: SOURCES receives the path of a source file that includes HEADER and defines the function that DECLARATION
# declares there, "NAMESPACE TYPE FUNCTION NAME": it returns a vector of TYPE {file's name, its text}. NAME is NAME, or
# NAME_WE for names without what follows the dot.
function(volley_embed sources header declaration)
  separate_arguments(declaration)
  list(GET declaration 0 namespace)
  list(GET declaration 1 type)
  list(GET declaration 2 function)
  list(GET declaration 3 part)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${ARGN})
  set(entries "")
  foreach(file IN LISTS ARGN)
    get_filename_component(name ${file} ${part})
    file(READ ${file} text)
    string(APPEND entries "    {\"${name}\", R\"embedded(${text})embedded\"},\n")
  endforeach()
  set(source ${PROJECT_BINARY_DIR}/generated/${function}.cpp)
  file(CONFIGURE OUTPUT ${source} @ONLY CONTENT
"// Made by cmake/embed.cmake.
#include \"@header@\"

namespace @namespace@ {

const std::vector<@type@>& @function@() {
  static const std::vector<@type@> files{
@entries@  };
  return files;
}

}  // namespace @namespace@
")
  set(${sources} ${source} PARENT_SCOPE)
endfunction()
