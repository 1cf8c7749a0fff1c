// The names of Open Images' classes, which its tables call `/m/01yrx` and which are in a table of their own.

import GraftFormats

/// The class names of `class-descriptions-boxable.csv` and its like.
struct OpenImagesNames {
    /// The name of each number.
    private(set) var names: [String: String] = [:]
    /// A note where the names are not there.
    private(set) var note: String?

    /// The names for the labels of a table; empty if these are not identifiers of Open Images.
    init(_ table: TextTable, label: Int?, near folder: String) {
        guard let label, let first = table.rows.first?[label].text, Self.isNumber(first) else {
            return
        }
        let places = [folder, join(folder, "metadata"), join(folder, "..")].map {
            $0.isEmpty ? "." : $0
        }
        for place in places {
            let files = ((try? FolderListing.names(in: place)) ?? []).filter {
                $0.contains("class-descriptions") || $0 == "classes.csv"
            }
            for file in files {
                guard let text = try? TextBytes(path: join(place, file)).text,
                    let rows = try? DelimitedText(text, path: file, separator: ",").rows
                else { continue }
                for row in rows where row.fields.count >= 2 && Self.isNumber(row.fields[0]) {
                    names[row.fields[0]] = row.fields[1]
                }
            }
            if !names.isEmpty { return }
        }
        note =
            "the classes are numbers of Open Images such as `\(first)`: put class-descriptions-boxable.csv "
            + "beside the table for their names"
    }

    /// Whether a label is an identifier of Freebase.
    private static func isNumber(_ text: String) -> Bool {
        ["/m/", "/g/", "/t/", "/j/"].contains { text.hasPrefix($0) }
    }
}
