// Files of tokens, sound and not.

import Foundation
import GraftServer
import Testing

@testable import GraftMirror

@Suite struct TokenFileTests {
    private func tokens(_ text: String) throws -> AccessTokens {
        let path = FileManager.default.temporaryDirectory
            .appendingPathComponent("graft-\(UUID().uuidString)").path
        try text.write(toFile: path, atomically: false, encoding: .utf8)
        defer { unlink(path) }
        do {
            return try AccessTokens(file: path)
        } catch let error as TokenFileError {
            // The path is of this run only.
            switch error {
            case .line(let number, _, let found):
                throw TokenFileError.line(number, of: "", found: found)
            case .short(let name, _): throw TokenFileError.short(name: name, of: "")
            case .empty: throw TokenFileError.empty("")
            case .unreadable: throw TokenFileError.unreadable("")
            }
        }
    }

    @Test func linesNameTokensAndRoles() throws {
        let found = try tokens(
            "# team\n\nhf_0123456789abcdef ann write\r\nhf_fedcba9876543210\tbob\n")
        #expect(!found.isEmpty)
        #expect(try AccessTokens(file: nil).isEmpty)
    }

    @Test(arguments: [
        ("hf_0123456789abcdef\n", TokenFileError.line(1, of: "", found: 1)),
        ("\nhf_0123456789abcdef ann admin\n", .line(2, of: "", found: 3)),
        ("hf_0123456789abcdef ann write now\n", .line(1, of: "", found: 4)),
        ("hf_short ann\n", .short(name: "ann", of: "")), ("# none\n", .empty("")),
    ])
    func whatIsNoLineIsNamed(_ text: String, _ cause: TokenFileError) throws {
        #expect(throws: cause) { try tokens(text) }
    }
}
