#include "report/html.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "embedded/page_files.hpp"
#include "report/page.hpp"

namespace volley::report {
namespace {

TEST(Html, WhatSomeoneWroteIsTextAndNothingElse) {
  EXPECT_EQ(escaped("<script>alert('a & \"b\"')</script>"),
            "&lt;script&gt;alert(&#39;a &amp; &quot;b&quot;&#39;)&lt;/script&gt;");
  EXPECT_EQ(escaped("&lt;"), "&amp;lt;");
  EXPECT_EQ(escaped("a\tb\nc"), "a\tb\nc");
}

TEST(Html, WhatIsNoTextBecomesTheReplacementCharacter) {
  const std::string no = "\xef\xbf\xbd";
  EXPECT_EQ(escaped(std::string("a\0b\x1b", 4)), "a" + no + "b" + no);
  EXPECT_EQ(escaped("\xff<"), no + "&lt;");
  EXPECT_EQ(escaped("\xc3"), no) << "cut short";
  EXPECT_EQ(escaped("\xc0\xbc"), no + no) << "'<' in two bytes";
  EXPECT_EQ(escaped("\xed\xa0\x80"), no + no + no) << "half of a pair";
  EXPECT_EQ(escaped("\xf4\x90\x80\x80"), no + no + no + no) << "beyond Unicode";
}

TEST(Html, TextOfTheWorldStaysAsItIs) {
  const std::string text = "caf\xc3\xa9 \xe6\x89\x8b\xe5\x86\x99 \xf0\x9f\x90\x88";
  EXPECT_EQ(escaped(text), text);
}

TEST(Html, EscapesInElementsAndAttributesAndClosesInTurn) {
  Html page;
  page.open("p", {{"title", "\"><b>"}}).text("a<b").leaf("b", "<i>").close();
  page.lone("img", {{"alt", "'"}});
  EXPECT_EQ(page.str(),
            "<p title=\"&quot;&gt;&lt;b&gt;\">a&lt;b<b>&lt;i&gt;</b>\n</p>\n<img alt=\"&#39;\"/>\n");
}

TEST(Html, WhatThePageBringsAlongDoesNotEndItself) {
  ASSERT_EQ(embedded::page_files().size(), 2u);
  for (const EmbeddedFile& file : embedded::page_files())
    EXPECT_EQ(file.text.find("</"), std::string::npos) << file.name;
}

TEST(Html, PicturesAreInThePage) {  // RFC 4648, 10
  EXPECT_EQ(data_uri(""), "data:image/png;base64,");
  EXPECT_EQ(data_uri("f"), "data:image/png;base64,Zg==");
  EXPECT_EQ(data_uri("fo"), "data:image/png;base64,Zm8=");
  EXPECT_EQ(data_uri("foo"), "data:image/png;base64,Zm9v");
  EXPECT_EQ(data_uri("foobar"), "data:image/png;base64,Zm9vYmFy");
  EXPECT_EQ(data_uri("\xff\xfe"), "data:image/png;base64,//4=");
}

TEST(Html, NumbersAreForPeople) {
  EXPECT_EQ(percent(0.92071), "92.07 %");
  EXPECT_EQ(grouped(1234567), "1,234,567");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(duration(3.21), "3.21 s");
  EXPECT_EQ(duration(61), "1 min 01 s");
  EXPECT_EQ(duration(3725), "1 h 02 min");
  EXPECT_EQ(duration(3599.9), "1 h 00 min");
  EXPECT_EQ(duration(NAN), "unknown");
}

}  // namespace
}  // namespace volley::report
