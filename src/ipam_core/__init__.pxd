"""The compiled core: this file makes Cython take these sources before an installed copy's."""
