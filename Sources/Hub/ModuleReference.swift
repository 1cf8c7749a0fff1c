// `tfhub://` and `kaggle://` references: which archive of which publisher, and where it is.

import FoundationEssentials
import GraftCache
import GraftSystem

/// A module of TensorFlow Hub or a version of a model of Kaggle: an archive with a SavedModel in it.
struct ModuleReference: Equatable {
    enum Publisher: String, Equatable { case tfhub, kaggle }

    let publisher: Publisher
    /// `google/imagenet/mobilenet_v2_100_224/feature_vector/5`, or
    /// `owner/model/framework/variation[/version]`.
    let handle: String

    /// How it is asked for.
    var text: String { "\(publisher.rawValue)://\(handle)" }

    /// The reference that `text` is: one of graft's, or the address of a page of either publisher.
    ///
    /// - Returns: nil for what is neither.
    /// - Throws: `HubError` for one whose handle cannot be one.
    init?(_ text: String) throws {
        if let handle = Self.rest(text, after: ["tfhub://"]) {
            (publisher, self.handle) = (.tfhub, handle)
        } else if let handle = Self.rest(text, after: ["kaggle://"]) {
            (publisher, self.handle) = (.kaggle, Self.short(handle))
        } else if let handle = Self.rest(text, after: ["https://tfhub.dev/"]) {
            // Other formats than SavedModels are files like any other.
            let parts = handle.split(separator: "?", maxSplits: 1).map(String.init)
            guard parts.count == 1 || parts[1] == Self.query else { return nil }
            (publisher, self.handle) = (.tfhub, parts.first ?? "")
        } else if let handle = Self.rest(text, after: Self.pages) {
            (publisher, self.handle) = (.kaggle, Self.short(handle))
        } else {
            return nil
        }
        let parts = self.handle.split(separator: "/", omittingEmptySubsequences: false)
        let counts = publisher == .tfhub ? 2...16 : 4...5
        let isVersion = { (part: Substring) in part.allSatisfy { $0.isASCII && $0.isNumber } }
        guard counts.contains(parts.count), RelativePath.isSafe(self.handle),
            self.handle.utf8.allSatisfy(Self.isHandleByte),
            publisher == .tfhub || parts.count == 4 || isVersion(parts[4])
        else {
            throw HubError.notModule(text)
        }
    }

    private static let query = "tf-hub-format=compressed"
    private static let pages = [
        "https://www.kaggle.com/models/", "https://kaggle.com/models/",
    ]

    private static func rest(_ text: String, after starts: [String]) -> String? {
        starts.first { text.hasPrefix($0) }.map { String(text.dropFirst($0.count)) }
    }

    /// `…/frameworks/tensorFlow2/variations/x/versions/1` is the long form of a handle.
    private static func short(_ handle: String) -> String {
        handle.prefix { $0 != "?" }.split(separator: "/", omittingEmptySubsequences: false)
            .filter { !["frameworks", "variations", "versions"].contains($0) }
            .joined(separator: "/")
    }

    private static func isHandleByte(_ byte: UInt8) -> Bool {
        (97...122).contains(byte | 0x20) || (45...57).contains(byte) || byte == 95
    }

    /// The version that the handle names; nil where it means the newest.
    var version: Int? {
        let parts = handle.split(separator: "/")
        return publisher == .kaggle && parts.count < 5 ? nil : parts.last.flatMap { Int($0) }
    }

    /// The same with a version.
    func with(version: Int) -> ModuleReference {
        ModuleReference(publisher: publisher, handle: "\(handle)/\(version)")
    }

    private init(publisher: Publisher, handle: String) {
        self.publisher = publisher
        self.handle = handle
    }

    // MARK: Where it is

    /// The address of the archive.
    var address: String {
        switch publisher {
        case .tfhub: "\(Self.endpoint(.tfhub))/\(handle)?\(Self.query)"
        case .kaggle: "\(Self.endpoint(.kaggle))/api/v1/models/\(handle)/download"
        }
    }

    /// The address that tells which version is the newest.
    var newestAddress: String { "\(Self.endpoint(.kaggle))/api/v1/models/\(handle)/get" }

    /// `$TFHUB_ENDPOINT` and `$KAGGLE_API_ENDPOINT`, as for the Hub's `$HF_ENDPOINT`.
    static func endpoint(_ publisher: Publisher) -> String {
        var text =
            switch publisher {
            case .tfhub: Environment.setting("TFHUB_ENDPOINT") ?? "https://tfhub.dev"
            case .kaggle: Environment.setting("KAGGLE_API_ENDPOINT") ?? "https://www.kaggle.com"
            }
        while text.hasSuffix("/") { text.removeLast() }
        return text
    }

    /// What tells Kaggle who asks, found where its own client finds it; nil for public models.
    func credentials() throws -> Credentials? {
        guard publisher == .kaggle else { return nil }
        let origins: Set = [try Location(Self.endpoint(.kaggle)).origin]
        let folder =
            (Environment.setting("KAGGLE_CONFIG_DIR")
                ?? Environment.setting("HOME").map { $0 + "/.kaggle" })
        func file(_ name: String) -> [UInt8]? {
            folder.flatMap { Files.read("\($0)/\(name)", limit: 1 << 16) }
        }
        func printable(_ text: String) -> String? {
            let text = trimmed(text[...])
            return text.isEmpty || !text.utf8.allSatisfy { (33...126).contains($0) } ? nil : text
        }
        let token =
            Environment.setting("KAGGLE_API_TOKEN")
            ?? file("access_token").map { String(decoding: $0, as: UTF8.self) }
        if let token = token.flatMap(printable) {
            return Credentials(
                authorization: "Bearer " + token, origins: origins,
                source: "`$KAGGLE_API_TOKEN` or its file")
        }
        struct Account: Decodable {
            let username: String
            let key: String
        }
        var account: Account?
        if let name = Environment.setting("KAGGLE_USERNAME"),
            let key = Environment.setting("KAGGLE_KEY")
        {
            account = Account(username: name, key: key)
        } else if let bytes = file("kaggle.json") {
            account = try? JSONDecoder().decode(Account.self, from: Data(bytes))
        }
        guard let account else { return nil }
        return Credentials(
            user: account.username, password: account.key,
            origin: try Location(Self.endpoint(.kaggle)).origin,
            source: "`$KAGGLE_USERNAME` or kaggle.json")
    }
}
