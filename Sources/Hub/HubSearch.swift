// Models of the Hub by what they are called and made with: one request a page.

import FoundationEssentials
import GraftCache
import GraftRegistry

/// What to look for on the Hub.
public struct HubQuery: Sendable {
    /// Words of the name.
    public var text = ""
    /// The task, as the Hub calls it: `image-classification`.
    public var task: String?
    /// The library that the weights are made for: `timm`, `keras`, `transformers`.
    public var library: String?
    /// An SPDX identifier of the licence, in lower case as the Hub writes it.
    public var license: String?
    /// Maximum size of the repository's weights in bytes.
    public var maxByteCount: Int?
    /// `downloads`, `likes`, `lastModified` or `trendingScore`.
    public var sort = "downloads"
    /// Maximum number of models.
    public var limit = 50

    /// Everything, the most downloaded first.
    public init() {}
}

/// A model of the Hub.
public struct HubModel: Sendable, Encodable {
    /// What graft can do with it.
    public enum Use: String, Sendable, Encodable {
        /// Its network is in graft: it runs and can be trained.
        case run
        /// Its weights can be read and converted.
        case read
        /// It has no weights that graft reads.
        case none
    }

    /// `hf://organisation/name`.
    public let reference: String
    /// The task, where its authors say.
    public let task: String?
    /// The library that it is made for.
    public let library: String?
    /// The licence, where its authors say.
    public let license: String?
    /// The bytes of its repository, where the Hub says.
    public let byteCount: Int?
    /// The number of parameters, where the Hub counted them.
    public let parameters: Int?
    /// Downloads of the last 30 days.
    public let downloads: Int
    /// Whether its authors ask for conditions to be accepted first.
    public let isGated: Bool
    /// What graft can do with it.
    public let use: Use
}

extension Hub {
    /// Searches the Hub; a page of results costs one request.
    /// - Throws: ``HubError`` where the hub cannot be asked or refuses.
    public func search(_ query: HubQuery) async throws -> [HubModel] {
        try await onOwnThread { cancellation in
            guard !offline, !HubAccess.isOffline else {
                throw HubError.needsNetwork(.search)
            }
            let api = HubAPI(
                HTTP(cancellation: cancellation),
                try HubAccess(
                    token: options.token, tokenFile: options.tokenFile,
                    endpoint: options.endpoint))
            return try api.search(query)
        }
    }
}

extension HubAPI {
    /// Results of a page.
    private static let pageSize = 100
    /// Pages that are looked at for a search with a size, which the Hub does not filter by.
    private static let maximumPages = 10

    func search(_ query: HubQuery) throws -> [HubModel] {
        let runnable = Set(
            ((try? Registry.load().entries) ?? []).filter { $0.architecture != nil }
                .compactMap { entry -> String? in
                    let parts = entry.url.dropFirst("hf://".count).pathParts
                    return entry.url.hasPrefix("hf://") && parts.count >= 2
                        ? "\(parts[0])/\(parts[1].prefix { $0 != "@" })" : nil
                })
        var found: [HubModel] = []
        var next: Location? = try address(query)
        var asked: Set<String> = []
        while let location = next, found.count < query.limit, asked.count < Self.maximumPages {
            guard asked.insert(location.text).inserted else { break }
            let (head, body) = try http.text(location, credentials: access.credentials)
            guard let page = try? JSONDecoder().decode([Entry].self, from: Data(body)) else {
                throw HubError.notAHub(url: location.shown, .models)
            }
            for entry in page {
                guard let model = entry.model(runnable), found.count < query.limit else { continue }
                if let most = query.maxByteCount, (model.byteCount ?? .max) > most { continue }
                found.append(model)
            }
            next = page.isEmpty ? nil : try following(head, location)
        }
        return found
    }

    private func address(_ query: HubQuery) throws -> Location {
        var pairs = [
            ("search", query.text), ("sort", query.sort), ("direction", "-1"),
            ("limit", "\(max(1, min(query.limit, Self.pageSize)))"),
        ]
        if let task = query.task { pairs.append(("pipeline_tag", task)) }
        if let library = query.library { pairs.append(("filter", library)) }
        if let license = query.license {
            pairs.append(("filter", "license:\(license.lowercased())"))
        }
        pairs += [
            "downloads", "gated", "library_name", "pipeline_tag", "safetensors", "siblings", "tags",
            "usedStorage",
        ].map { ("expand[]", $0) }
        let text = pairs.filter { !$0.1.isEmpty }
            .map { "\(PercentCoding.encoded($0.0))=\(PercentCoding.encoded($0.1))" }
        return try Location("\(access.endpoint)/api/models?" + text.joined(separator: "&"))
    }

    private struct Entry: Decodable {
        struct Sibling: Decodable { let rfilename: String }
        struct Weights: Decodable { let total: Int? }
        /// False, or how access is given.
        struct Gate: Decodable {
            let isClosed: Bool
            init(from decoder: any Decoder) throws {
                let container = try decoder.singleValueContainer()
                isClosed = (try? container.decode(Bool.self)) ?? true
            }
        }
        let id: String
        let downloads: Int?
        let gated: Gate?
        let library_name: String?
        let pipeline_tag: String?
        let safetensors: Weights?
        let siblings: [Sibling]?
        let tags: [String]?
        let usedStorage: Int?

        /// The model; nil where its name breaks the Hub's own rules.
        func model(_ runnable: Set<String>) -> HubModel? {
            guard let name = HubName(.model, id) else { return nil }
            let hasWeights =
                GraftHub.Weights.choose(among: (siblings ?? []).map(\.rfilename)) != nil
            return HubModel(
                reference: name.description, task: pipeline_tag, library: library_name,
                license: tags?.first { $0.hasPrefix("license:") }
                    .map { String($0.dropFirst("license:".count)) },
                byteCount: usedStorage.flatMap { ByteCount.isSound($0) ? $0 : nil },
                parameters: safetensors?.total.flatMap { $0 >= 0 ? $0 : nil },
                downloads: max(0, downloads ?? 0), isGated: gated?.isClosed ?? false,
                use: runnable.contains(id) ? .run : hasWeights ? .read : .none)
        }
    }
}
