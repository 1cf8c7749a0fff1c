// Why a table gives no labelled images.

public import GraftTensors

/// A table that lists no labelled images.
public enum PhotoTableError: Diagnostic, Equatable {
    /// No column has labels or values, as far as names say.
    case noColumns(String, found: String)
    /// No column has paths of images, as far as names say.
    case noPaths(String, found: String)
    /// A column that was asked for is not there.
    case noColumn(String, column: String, found: String)
    /// A line that says what it may not.
    case badRow(String, line: Int, reason: String)
    /// No row can be used.
    case noRows(String, reason: String?)
    /// No image of the table was found.
    case noImages(String, first: String, column: String)

    /// What happened.
    public var message: String {
        switch self {
        case .noColumns(let path, let found):
            "expected a column `label`, `labels` or `value` in `\(path)`, found `\(found)`"
        case .noPaths(let path, let found):
            "expected a column with the paths of the images in `\(path)`, found `\(found)`"
        case .noColumn(let path, let column, let found):
            "`\(path)` has no column `\(column)`; it has `\(found)`"
        case .badRow(let path, let line, let reason): "line \(line) of `\(path)` \(reason)"
        case .noRows(let path, let reason):
            "expected rows in `\(path)`, found none that can be used"
                + (reason.map { ": \($0)" } ?? "")
        case .noImages(let path, let first, let column):
            "none of the images of column `\(column)` of `\(path)` was found, such as `\(first)`"
        }
    }

    /// What to do about it.
    public var hint: String? {
        switch self {
        case .noColumns:
            "name the column: --columns label=NAME for classes, labels=NAME for several, value=NAME for numbers"
        case .noPaths: "name the column: --columns path=NAME,label=NAME"
        case .noColumn, .badRow, .noRows: nil
        case .noImages:
            "name the folder of the images with --folder, or the extension that the names leave out with --extension"
        }
    }
}
