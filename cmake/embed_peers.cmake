# peers/run_*.py and what they share become one source file, so that `volley compare` has them wherever it is
# installed.
file(GLOB VOLLEY_PEERS CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/peers/common.py
     ${PROJECT_SOURCE_DIR}/peers/torch_parts.py ${PROJECT_SOURCE_DIR}/peers/run_*.py)
set(VOLLEY_EMBEDDED_PEERS ${PROJECT_BINARY_DIR}/generated/peer_scripts.cpp)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${VOLLEY_PEERS})
set(entries "")
foreach(script IN LISTS VOLLEY_PEERS)
  get_filename_component(name ${script} NAME)
  file(READ ${script} text)
  string(APPEND entries "    {\"${name}\", R\"python(${text})python\"},\n")
endforeach()
file(CONFIGURE OUTPUT ${VOLLEY_EMBEDDED_PEERS} @ONLY CONTENT
"// Made from peers/*.py by cmake/embed_peers.cmake.
#include \"peer_scripts.hpp\"

namespace volley::cli {

const std::vector<PeerScript>& peer_scripts() {
  static const std::vector<PeerScript> scripts{
@entries@  };
  return scripts;
}

}  // namespace volley::cli
")
