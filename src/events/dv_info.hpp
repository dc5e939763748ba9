#pragma once

#include <string_view>
#include <vector>

#include <volley/event_file.hpp>

namespace volley {

/// The streams that the XML in the header of AEDAT 4 lists:
///
///     <dv><node name="outInfo"><node name="0">
///       <attr key="typeIdentifier">EVTS</attr>
///       <node name="info"><attr key="sizeX">320</attr> ...
///
/// What is no such node is passed over.
std::vector<EventStream> read_dv_streams(std::string_view xml);

/// XML of one stream 0 of events.
std::string dv_info_text(const EventFileInfo& info);

}  // namespace volley
