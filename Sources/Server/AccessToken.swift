// Tokens: who may ask, and who may write.

/// The person or program that a token was given to.
public struct TokenHolder: Sendable, Hashable {
    /// The name of the holder; it appears in the access log, the token does not.
    public let name: String
    /// Whether the holder may write.
    public let mayWrite: Bool

    /// A holder.
    public init(name: String, mayWrite: Bool) {
        self.name = name
        self.mayWrite = mayWrite
    }
}

/// The tokens that a server knows.
public struct AccessTokens: Sendable {
    private struct Entry: Sendable {
        let secret: [UInt8]
        let holder: TokenHolder
    }
    private var entries: [Entry] = []
    /// Whether requests without a token are answered.
    public var admitsAnonymous: Bool

    /// No tokens: every request is answered, whatever token it shows.
    public static let none = AccessTokens(admitsAnonymous: true)

    /// An empty set of tokens.
    public init(admitsAnonymous: Bool) { self.admitsAnonymous = admitsAnonymous }

    /// Whether there is no token.
    public var isEmpty: Bool { entries.isEmpty }

    /// Adds a token.
    public mutating func add(_ secret: String, for holder: TokenHolder) {
        entries.append(Entry(secret: Array(secret.utf8), holder: holder))
    }

    enum Verdict: Equatable {
        case allowed(TokenHolder?)
        case refused
    }

    /// Judges the field `Authorization` in a time that does not depend on how much of a token is right.
    func judge(_ field: String?) -> Verdict {
        guard !entries.isEmpty else { return admitsAnonymous ? .allowed(nil) : .refused }
        guard let field else { return admitsAnonymous ? .allowed(nil) : .refused }
        guard field.utf8.count > 7, field.prefix(7).lowercased() == "bearer " else {
            return .refused
        }
        let shown = Array(field.utf8.dropFirst(7))
        var found: TokenHolder?
        for entry in entries where Self.areEqual(entry.secret, shown: shown) {
            found = entry.holder
        }
        return found.map { .allowed($0) } ?? .refused
    }

    private static func areEqual(_ secret: [UInt8], shown: [UInt8]) -> Bool {
        guard !shown.isEmpty, !secret.isEmpty else { return false }
        var difference = UInt8(secret.count == shown.count ? 0 : 1)
        for (index, byte) in secret.enumerated() { difference |= byte ^ shown[index % shown.count] }
        return difference == 0
    }
}
