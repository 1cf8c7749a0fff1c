// What the cache refuses, and why.

public import GraftSystem
public import GraftTensors

/// A thing that the cache cannot do.
public enum CacheError: Diagnostic, Equatable {
    /// A digest that is not `algorithm:hex`.
    case digestSyntax(String)
    /// Nothing of that reference is here.
    case unknown(String)
    /// A file that is no longer what was fetched.
    case damaged(path: String, expected: String, found: String)
    /// A file of the Hub's cache that is not what it is called; both digests with their algorithm.
    case damagedBlob(path: String, expected: String, found: String)
    /// A thing that only this machine can make.
    case notPortable(String)
    /// An address that no longer holds what it held when it was first fetched.
    case changed(url: String, expected: String, found: String)
    /// A size or an age that cannot be read.
    case quantity(String, expected: String)
    /// A condition that cannot be read.
    case filter(String)
    /// Things that must stay.
    case pinned([String])
    /// Something that another program is writing.
    case inUse(String)
    /// A disk that is too small.
    case noSpace(String, needed: Int, free: Int)
    /// A folder that cannot be made or written to; the variable names another one.
    case unwritable(String, Errno, variable: String)
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
        case .damagedBlob(let path, let expected, let found):
            "`\(path)` is not what it is called: expected `\(expected)`, found `\(found)`"
        case .notPortable(let name):
            "`\(name)` cannot be exported: only commits of the Hub and fetched files can"
        case .changed(let url, let expected, let found):
            "`\(url)` changed since it was first fetched: expected `sha256:\(expected)`, "
                + "found `sha256:\(found)`"
        case .quantity(let text, let expected): "expected \(expected), found `\(text)`"
        case .filter(let text): "`\(text)` is not a condition"
        case .pinned(let names): "pinned: " + names.map { "`\($0)`" }.joined(separator: ", ")
        case .inUse(let name): "`\(name)` is in use: another program is fetching it"
        case .noSpace(let path, let needed, let free):
            "no room at `\(path)`: expected \(needed) bytes, found \(free)"
        case .unwritable(let path, let errno, _):
            "cannot write to the cache `\(path)`: \(errno.message)"
        case .noHome: "no folder for the cache: neither `GRAFT_CACHE` nor `HOME` is set"
        }
    }

    /// What to do about it.
    public var hint: String? {
        switch self {
        case .digestSyntax:
            "`md5:<32 hex digits>` and `sha256-prefix:<8 or more>` are understood too"
        case .unknown: "`graft cache ls` shows what is there, `graft fetch` fetches it"
        case .damaged, .damagedBlob: "`graft cache repair` removes it, so that it is fetched again"
        case .notPortable: "features are computed anew where they are needed; leave them out"
        case .changed(let url, _, _):
            "if its publisher says so, forget the old one with `graft cache rm --forget \(url)`"
        case .quantity: nil
        case .filter:
            "conditions are `size>1GB`, `used>30d`, `modified<1w`, `type=model`, `refs=main`, "
                + "`name=timm/*` and `pinned=true`"
        case .pinned: "`graft cache unpin` frees them"
        case .inUse: "wait for it to finish, or stop it"
        case .noSpace: "free some space, for example with `graft cache gc --max-size`"
        case .unwritable(_, _, let variable): "set `\(variable)` to a folder that you can write to"
        case .noHome: "set `GRAFT_CACHE` to a folder"
        }
    }
}
