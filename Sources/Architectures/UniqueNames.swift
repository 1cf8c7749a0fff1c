// Names that a file may have once.

/// The names that are taken: layers of a file that graft reads may be called as graft calls the parts of others.
struct UniqueNames {
    private var taken: Set<String>

    /// Names of which these are taken.
    init(taken: Set<String> = []) { self.taken = taken }

    /// The name, or with a number if it is taken; it is taken from then on.
    mutating func claim(_ name: String) -> String {
        var unique = name
        var number = 0
        while !taken.insert(unique).inserted {
            number += 1
            unique = "\(name)#\(number)"
        }
        return unique
    }
}
