#pragma once

#include <optional>
#include <string>

#include "events/decoder.hpp"

namespace volley {

// The header of Prophesee RAW: lines that begin with "% ", the last of which may be "% end".

struct EvtHeader {
  EventFileInfo info;
  std::size_t bytes = 0;
  bool legacy = false;  // evt2.1: the halves of a word are swapped
};

/// The format that the header of a file names; none where it names none.
std::optional<EventFormat> evt_format(std::string_view bytes);

/// Throws FileError where the header names another format than `format`.
EvtHeader read_evt_header(const EventBytes& bytes, EventFormat format);

/// The header of a file in `format`, evt2 or evt3.
std::string evt_header_text(EventFormat format, const EventFileInfo& info);

}  // namespace volley
