// `pypi:` references: which package, which version, which file in it.

/// `pypi:package[==version][/file in the package]`.
struct PackageReference: Equatable {
    let package: String
    /// nil for the newest.
    let version: String?
    /// Empty for the package itself.
    let member: String

    /// Reads a reference.
    init(_ reference: String) throws {
        let body = reference.dropFirst("pypi:".count)
        let slash = body.firstIndex(of: "/")
        let requirement = String(slash.map { body[..<$0] } ?? body)
        member = slash.map { String(body[body.index(after: $0)...]) } ?? ""
        let parts = requirement.split(separator: "=", omittingEmptySubsequences: true)
        package = parts.first.map(String.init) ?? ""
        guard parts.count == 1 || (parts.count == 2 && requirement.contains("==")),
            !package.isEmpty, package.utf8.allSatisfy(Self.isNameByte)
        else {
            throw HubError.notPackage(reference)
        }
        version = parts.count == 2 ? String(parts[1]) : nil
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte | 0x20 || 48...57 ~= byte || byte == 45
            || byte == 46 || byte == 95
    }
}
