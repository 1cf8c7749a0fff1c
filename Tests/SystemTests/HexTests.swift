// Bytes as digits.

import GraftSystem
import Testing

@Test func bytesBecomeTwoDigitsEach() {
    #expect(Hex.text([0, 9, 10, 0xAB, 0xFF]) == "00090aabff")
    #expect(Hex.text([UInt8]()) == "")
    #expect(Hex.isText("00ff", count: 4) && !Hex.isText("00FF", count: 4))
    #expect(!Hex.isText("00f", count: 4) && !Hex.isText("00fg", count: 4))
}
