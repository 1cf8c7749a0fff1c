// `%xx` in addresses, written and read.

import GraftCache
import Testing

@Test(arguments: [
    ("refs/pr/1", "", "refs%2Fpr%2F1"), ("a b+é", "", "a%20b%2B%C3%A9"),
    ("sub/a~b", "/", "sub/a~b"),
    ("100%", "", "100%25"), ("", "", ""), ("\n", "", "%0A"),
])
func textIsEncodedAndDecoded(text: String, keeping: String, encoded: String) {
    #expect(PercentCoding.encoded(text, keeping: keeping) == encoded)
    #expect(PercentCoding.decoded(encoded) == text)
}

@Test(arguments: ["%", "%2", "a%", "%zz", "%+1", "%-1", "%ff", "%C3"])
func whatIsNoTextIsNotDecoded(text: String) {
    #expect(PercentCoding.decoded(text) == nil)
}

@Test func lowerCaseDigitsAreRead() { #expect(PercentCoding.decoded("a%2fb%c3%a9") == "a/bé") }
