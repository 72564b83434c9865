"""What knowledge means: laws, and the compiler that turns records into one model for both engines."""

from hepatalk.model.compiler import compile_model

__all__ = ["compile_model"]
