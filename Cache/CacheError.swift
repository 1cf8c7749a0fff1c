// What the cache refuses, and why.

public import GraftTensors

/// A thing that the cache cannot do.
public enum CacheError: Diagnostic, Equatable {
    /// A digest that is not `algorithm:hex`.
    case digestSyntax(String)
    /// Nothing of that reference is here.
    case unknown(String)
    /// A file that is no longer what was fetched.
    case damaged(path: String, expected: String, found: String)
    /// Neither `GRAFT_CACHE` nor `HOME` says where the cache is.
    case noHome

    /// What happened.
    public var message: String {
        switch self {
        case .digestSyntax(let text):
            "expected a digest such as `sha256:<64 hex digits>`, found `\(text)`"
        case .unknown(let reference): "the cache holds nothing for `\(reference)`"
        case .damaged(let path, let expected, let found):
            "`\(path)` changed since it was fetched: expected `sha256:\(expected)`, found `\(found)`"
        case .noHome: "no folder for the cache: neither `GRAFT_CACHE` nor `HOME` is set"
        }
    }

    /// What to do about it.
    public var hint: String? {
        switch self {
        case .digestSyntax:
            "`md5:<32 hex digits>` and `sha256-prefix:<8 or more>` are understood too"
        case .unknown: "`graft cache ls` shows what is there, `graft fetch` fetches it"
        case .damaged: "remove it with `graft cache rm` and fetch it again"
        case .noHome: "set `GRAFT_CACHE` to a folder"
        }
    }
}
