/// What names in pickles stand for.
enum PickleImports {
    /// Whether a pickle of tensors needs it. NumPy's are among them: optimisers and random states hold them.
    ///
    /// Source: PyTorch `torch/_weights_only_unpickler.py`, _get_allowed_globals.
    static func isUsual(_ name: String) -> Bool {
        if usual.contains(name) { return true }
        if name.hasPrefix("torch._utils._rebuild_") { return true }
        guard let (module, last) = split(name), module == "torch" || module == "torch.cuda" else { return false }
        return last.hasSuffix("Storage") || types.contains(last)
    }

    private static let usual: Set<String> = [
        "collections.OrderedDict", "collections.Counter", "collections.defaultdict", "torch.nn.parameter.Parameter",
        "torch.nn.parameter.UninitializedParameter", "torch.serialization._get_layout", "torch.Size", "torch.Tensor",
        "torch.device", "torch._tensor._rebuild_from_type_v2", "torch.storage.UntypedStorage",
        "torch.storage.TypedStorage", "_codecs.encode", "builtins.bytearray", "builtins.set", "builtins.complex",
        "builtins.dict", "builtins.list", "builtins.int", "builtins.float", "builtins.str", "builtins.tuple",
        "builtins.slice", "builtins.range", "builtins.frozenset", "__builtin__.frozenset", "__builtin__.set",
        "__builtin__.bytearray", "__builtin__.complex",
        "numpy.core.multiarray._reconstruct", "numpy.core.multiarray.scalar", "numpy._core.multiarray._reconstruct",
        "numpy._core.multiarray.scalar", "numpy.ndarray", "numpy.dtype", "argparse.Namespace", "pathlib.PosixPath",
    ]

    private static let types: Set<String> = [
        "float", "float16", "float32", "float64", "bfloat16", "half", "double", "int", "int8", "int16", "int32",
        "int64", "long", "short", "uint8", "uint16", "uint32", "uint64", "bool", "complex64", "complex128",
        "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu", "quint8", "qint8",
        "qint32", "strided", "sparse_coo", "per_tensor_affine", "per_channel_affine",
    ]

    /// Whether calling it runs a program or a text as code, touches files or connections, or finds other things to call.
    static func isDangerous(_ name: String) -> Bool {
        if dangerous.contains(name) { return true }
        guard let (module, _) = split(name) else { return false }
        let top = module.prefix { $0 != "." }
        return dangerousModules.contains(String(top)) || dangerousModules.contains(module)
    }

    /// All of these modules, and of those below them.
    private static let dangerousModules: Set<String> = [
        "os", "posix", "nt", "ntpath", "posixpath", "subprocess", "_posixsubprocess", "sys", "shutil", "socket",
        "_socket", "socketserver", "ssl", "pty", "platform", "runpy", "importlib", "imp", "pkgutil", "code", "codeop",
        "bdb", "pdb", "profile", "cProfile", "timeit", "trace", "ctypes", "_ctypes", "multiprocessing", "_thread",
        "threading", "asyncio", "concurrent", "signal", "webbrowser", "http", "httplib", "urllib", "urllib2",
        "requests",
        "aiohttp", "ftplib", "smtplib", "telnetlib", "xmlrpc", "commands", "popen2", "pickle", "_pickle", "cloudpickle",
        "dill", "joblib", "marshal", "shelve", "types", "inspect", "gc", "tempfile", "glob", "fileinput",
        "zipfile", "tarfile", "sqlite3", "pydoc", "doctest", "unittest", "venv", "ensurepip", "pip", "distutils",
        "setuptools", "idlelib", "lib2to3", "nturl2path", "torch.hub", "torch.utils.cpp_extension", "torch.jit",
        "numpy.testing", "numpy.distutils", "numpy.f2py",
    ]

    private static let dangerous: Set<String> = Set(
        ["builtins", "__builtin__"].flatMap { module in
            [
                "eval", "exec", "execfile", "compile", "open", "file", "input", "raw_input", "__import__", "getattr",
                "setattr", "delattr", "globals", "locals", "vars", "apply", "map", "filter", "breakpoint", "memoryview",
            ].map { "\(module).\($0)" }
        } + [
            "operator.attrgetter", "operator.itemgetter", "operator.methodcaller", "_operator.attrgetter",
            "_operator.itemgetter", "_operator.methodcaller", "functools.partial", "_functools.partial",
            "functools.reduce", "_functools.reduce", "io.open", "_io.open", "_io.FileIO", "io.FileIO", "codecs.open",
            "pathlib.Path",
            "logging.config.listen", "torch.load", "torch.serialization.load", "torch.storage._load_from_bytes",
            "numpy.load", "numpy.fromfile", "site.main",
        ])

    private static func split(_ name: String) -> (module: String, name: String)? {
        guard let dot = name.lastIndex(of: ".") else { return nil }
        return (String(name[..<dot]), String(name[name.index(after: dot)...]))
    }
}
