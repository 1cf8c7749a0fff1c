// What goes wrong with the registry.

public import GraftTensors

/// An error of the registry.
public enum RegistryError: Diagnostic, Hashable {
    /// The registry's files are in none of these places.
    case missing(searched: [String])
    /// A file of the registry cannot be read.
    case unreadable(path: String, reason: String)
    /// No model has this name; the nearest names.
    case unknown(String, suggestions: [String])
    /// No model has this in its name and satisfies the conditions.
    case noneSuch(String)
    /// No list of classes has this name.
    case unknownLabels(String)

    /// What happened.
    public var message: String {
        switch self {
        case .missing(let searched):
            "the registry's folder `\(Resources.folderName)` is missing; looked in "
                + searched.map { "`\($0)`" }.joined(separator: ", ")
        case .unreadable(let path, let reason): "cannot read `\(path)`: \(reason)"
        case .unknown(let name, _): "the registry has no model named `\(name)`"
        case .noneSuch(let query):
            query.isEmpty
                ? "the registry has no such model" : "the registry has no such model for `\(query)`"
        case .unknownLabels(let name): "the registry has no class names called `\(name)`"
        }
    }

    /// What to do about it.
    public var hint: String? {
        switch self {
        case .missing:
            "set GRAFT_REGISTRY to the folder, or put it beside the program: "
                + "`make install` does"
        case .unreadable: "the installation is damaged: run `make install` again"
        case .unknown(_, let suggestions) where !suggestions.isEmpty:
            "did you mean " + suggestions.map { "`\($0)`" }.joined(separator: ", ")
                + "? `graft models` lists all"
        case .unknown: "`graft models` lists all"
        case .noneSuch:
            "`graft models` lists all; what a publisher does not say satisfies no condition"
        case .unknownLabels: "there is `imagenet`"
        }
    }
}
